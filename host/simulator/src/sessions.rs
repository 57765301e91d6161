//! Session webhooks: one per conversation of an app, renewed by every message in it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::usage::Window;

/// `msgUuid`s remembered for one session; the oldest is forgotten first.
const UUIDS_PER_SESSION: usize = 1_000;

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_id: HashMap<Arc<str>, Session>,
    /// app, then conversation, to session.
    by_conversation: HashMap<Arc<str>, HashMap<Arc<str>, Arc<str>>>,
    /// app, then staff id, to private conversation.
    by_person: HashMap<Arc<str>, HashMap<Arc<str>, Arc<str>>>,
    /// In the order they were made, to forget the oldest at the limit.
    order: VecDeque<Arc<str>>,
}

#[derive(Debug)]
struct Session {
    client_id: Arc<str>,
    conversation: Arc<str>,
    expires: Instant,
    minute: Window,
    /// In a private conversation, the staff id of the person.
    person: Option<Arc<str>>,
    private: bool,
    uuids: HashSet<Arc<str>>,
    uuid_order: VecDeque<Arc<str>>,
}

/// Whose session it is.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub client_id: Arc<str>,
    pub conversation: Arc<str>,
    pub expired: bool,
}

impl Sessions {
    /// The session (32 hex digits) of a conversation, made if there is none, valid for `ttl` from now.
    pub(crate) fn renew(
        &mut self,
        client_id: &Arc<str>,
        conversation: &str,
        ttl: Duration,
        max: usize,
    ) -> Arc<str> {
        let now = Instant::now();
        let conversations = self.by_conversation.entry(Arc::clone(client_id)).or_default();
        if let Some(id) = conversations.get(conversation)
            && let Some(session) = self.by_id.get_mut(id)
        {
            session.expires = now + ttl;
            return Arc::clone(id);
        }
        let id: Arc<str> = format!("{:032x}", rand::random::<u128>()).into();
        let conversation: Arc<str> = conversation.into();
        conversations.insert(Arc::clone(&conversation), Arc::clone(&id));
        let session = Session {
            client_id: Arc::clone(client_id),
            conversation,
            expires: now + ttl,
            minute: Window::new(),
            person: None,
            private: false,
            uuids: HashSet::new(),
            uuid_order: VecDeque::new(),
        };
        self.by_id.insert(Arc::clone(&id), session);
        self.order.push_back(Arc::clone(&id));
        while self.by_id.len() > max {
            let Some(oldest) = self.order.pop_front() else { break };
            self.forget(&oldest);
        }
        id
    }

    fn forget(&mut self, id: &str) {
        let Some(session) = self.by_id.remove(id) else { return };
        if let Some(conversations) = self.by_conversation.get_mut(&session.client_id) {
            conversations.remove(&session.conversation);
        }
        if let Some(person) = &session.person
            && let Some(people) = self.by_person.get_mut(&session.client_id)
            && people.get(person) == Some(&session.conversation)
        {
            people.remove(person);
        }
    }

    pub(crate) fn owner(&self, id: &str) -> Option<Owner> {
        let session = self.by_id.get(id)?;
        Some(Owner {
            client_id: Arc::clone(&session.client_id),
            conversation: Arc::clone(&session.conversation),
            expired: session.expires <= Instant::now(),
        })
    }

    /// Counts a reply against the limit of one `window` (a simulated minute). False: too many.
    pub(crate) fn admit(&mut self, id: &str, limit: u32, window: Duration) -> bool {
        self.by_id.get_mut(id).is_some_and(|session| session.minute.admit(limit, window))
    }

    /// Remembers that a session is of a private conversation, and with whom.
    pub(crate) fn is_with(&mut self, id: &str, staff_id: Option<&str>) {
        let Some(session) = self.by_id.get_mut(id) else { return };
        session.private = true;
        let people = self.by_person.entry(Arc::clone(&session.client_id)).or_default();
        if session.person.as_deref() != staff_id {
            if let Some(before) = session.person.take()
                && people.get(&before) == Some(&session.conversation)
            {
                people.remove(&before);
            }
            session.person = staff_id.map(Arc::from);
        }
        if let Some(person) = &session.person {
            people.insert(Arc::clone(person), Arc::clone(&session.conversation));
        }
    }

    /// The private conversation of an app's bot with a person.
    pub(crate) fn private_with(&self, client_id: &str, staff_id: &str) -> Option<Arc<str>> {
        self.by_person.get(client_id)?.get(staff_id).cloned()
    }

    /// Whether this conversation of an app's bot is known to be a private one.
    pub(crate) fn is_private(&self, client_id: &str, conversation: &str) -> bool {
        let id = self.by_conversation.get(client_id).and_then(|all| all.get(conversation));
        id.and_then(|id| self.by_id.get(id)).is_some_and(|session| session.private)
    }

    /// Remembers a `msgUuid`. True: it was known.
    pub(crate) fn repeats(&mut self, id: &str, uuid: &str) -> bool {
        let Some(session) = self.by_id.get_mut(id) else { return false };
        if session.uuids.contains(uuid) {
            return true;
        }
        let uuid: Arc<str> = uuid.into();
        session.uuids.insert(Arc::clone(&uuid));
        session.uuid_order.push_back(uuid);
        if session.uuid_order.len() > UUIDS_PER_SESSION
            && let Some(oldest) = session.uuid_order.pop_front()
        {
            session.uuids.remove(&oldest);
        }
        false
    }

    /// Lets sessions end now. Returns how many were alive.
    pub(crate) fn expire(&mut self, client_id: Option<&str>, conversation: Option<&str>) -> usize {
        let now = Instant::now();
        let mut count = 0;
        for session in self.by_id.values_mut() {
            let meant = client_id.is_none_or(|id| id == &*session.client_id)
                && conversation.is_none_or(|id| id == &*session.conversation);
            if meant && session.expires > now {
                session.expires = now;
                count += 1;
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(60);

    #[test]
    fn a_conversation_keeps_its_session() {
        let mut sessions = Sessions::default();
        let app: Arc<str> = "app".into();
        let first = sessions.renew(&app, "cidA", TTL, 10);
        assert_eq!(first.len(), 32);
        assert_eq!(sessions.renew(&app, "cidA", TTL, 10), first);
        assert_ne!(sessions.renew(&app, "cidB", TTL, 10), first);
        assert_ne!(sessions.renew(&"other".into(), "cidA", TTL, 10), first);
        assert_eq!(sessions.expire(Some("app"), Some("cidA")), 1);
        assert!(sessions.owner(&first).unwrap().expired);
        sessions.renew(&app, "cidA", TTL, 10);
        assert!(!sessions.owner(&first).unwrap().expired);
    }

    #[test]
    fn the_oldest_session_goes_at_the_limit() {
        let mut sessions = Sessions::default();
        let app: Arc<str> = "app".into();
        let first = sessions.renew(&app, "cidA", TTL, 2);
        sessions.renew(&app, "cidB", TTL, 2);
        sessions.renew(&app, "cidC", TTL, 2);
        assert!(sessions.owner(&first).is_none());
        assert_ne!(sessions.renew(&app, "cidA", TTL, 2), first);
    }

    #[test]
    fn replies_are_counted_by_the_minute() {
        let mut sessions = Sessions::default();
        let id = sessions.renew(&"app".into(), "cidA", TTL, 2);
        assert!(sessions.admit(&id, 2, TTL));
        assert!(sessions.admit(&id, 2, TTL));
        assert!(!sessions.admit(&id, 2, TTL));
        assert!(sessions.admit(&id, 2, Duration::ZERO));
    }

    #[test]
    fn uuids_are_remembered_up_to_a_bound() {
        let mut sessions = Sessions::default();
        let id = sessions.renew(&"app".into(), "cidA", TTL, 2);
        assert!(!sessions.repeats(&id, "u"));
        assert!(sessions.repeats(&id, "u"));
        for n in 0..UUIDS_PER_SESSION {
            assert!(!sessions.repeats(&id, &n.to_string()));
        }
        assert!(!sessions.repeats(&id, "u"));
    }
}
