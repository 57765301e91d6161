//! Access tokens: one for each app.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The tokens of apps that are known; so there are never more than those.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    by_app: HashMap<Arc<str>, (Arc<str>, Instant)>,
    by_token: HashMap<Arc<str>, Arc<str>>,
}

impl Tokens {
    /// An app's token: the same one while it is valid, and renewed by being asked for.
    pub(crate) fn issue(&mut self, client_id: &Arc<str>, ttl: Duration) -> Arc<str> {
        let now = Instant::now();
        if let Some((token, expires)) = self.by_app.get_mut(client_id)
            && *expires > now
        {
            *expires = now + ttl;
            return Arc::clone(token);
        }
        let token: Arc<str> = uuid::Uuid::new_v4().simple().to_string().into();
        self.by_token.insert(Arc::clone(&token), Arc::clone(client_id));
        if let Some((old, _)) = self.by_app.insert(Arc::clone(client_id), (Arc::clone(&token), now + ttl)) {
            self.by_token.remove(&old);
        }
        token
    }

    /// Whose token it is, if it is valid.
    pub(crate) fn owner(&self, token: &str) -> Option<Arc<str>> {
        let client_id = self.by_token.get(token)?;
        let (_, expires) = self.by_app.get(client_id)?;
        (*expires > Instant::now()).then(|| Arc::clone(client_id))
    }

    /// Lets tokens end now. Returns how many were valid.
    pub(crate) fn expire(&mut self, client_id: Option<&str>) -> usize {
        let now = Instant::now();
        let mut count = 0;
        for (app, (_, expires)) in &mut self.by_app {
            if client_id.is_none_or(|id| id == &**app) && *expires > now {
                *expires = now;
                count += 1;
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_until_it_ends() {
        let ttl = Duration::from_secs(60);
        let (app, other): (Arc<str>, Arc<str>) = ("app".into(), "other".into());
        let mut tokens = Tokens::default();
        let first = tokens.issue(&app, ttl);
        assert_eq!(tokens.issue(&app, ttl), first);
        assert_ne!(tokens.issue(&other, ttl), first);
        assert_eq!(tokens.owner(&first).as_deref(), Some("app"));
        assert_eq!(tokens.owner("guess"), None);

        assert_eq!(tokens.expire(Some("app")), 1);
        assert_eq!(tokens.expire(Some("app")), 0);
        assert_eq!(tokens.owner(&first), None);
        assert_ne!(tokens.issue(&app, ttl), first);
        assert_eq!(tokens.by_token.len(), 2);
        assert_eq!(tokens.expire(None), 2);
    }
}
