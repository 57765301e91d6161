//! The functions a plugin may export, each called in the same way.

use std::future::Future;

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::bindings::exports::belfry::bot::{
    action_handler, describe, event_handler, message_handler, resident, transform,
};
use crate::plugin::Handler;
use crate::state::State;
use crate::types::{Effect, Event, Failure, Message, Outcome, Request, Response};
use crate::{diagnose, reason};

/// Where the interfaces of `wit/` are among a component's exports.
#[derive(Default)]
pub(crate) struct Exports {
    pub(crate) message: Option<message_handler::GuestIndices>,
    event: Option<event_handler::GuestIndices>,
    action: Option<action_handler::GuestIndices>,
    transform: Option<transform::GuestIndices>,
    pub(crate) describe: Option<describe::GuestIndices>,
    pub(crate) resident: Option<resident::GuestIndices>,
}

impl Exports {
    /// Finds those interfaces that `has` says are there.
    ///
    /// # Errors
    ///
    /// In words for the plugin's author.
    pub(crate) fn find(component: &InstancePre<State>, has: impl Fn(&str) -> bool) -> Result<Self, String> {
        fn get<T>(
            interface: &str,
            has: &impl Fn(&str) -> bool,
            find: impl FnOnce() -> wasmtime::Result<T>,
        ) -> Result<Option<T>, String> {
            let found = has(interface).then(find).transpose();
            found.map_err(|error| format!("its `{interface}` cannot be used: {}", diagnose::chain(&error)))
        }
        Ok(Exports {
            message: get("message-handler", &has, || message_handler::GuestIndices::new(component))?,
            event: get("event-handler", &has, || event_handler::GuestIndices::new(component))?,
            action: get("action-handler", &has, || action_handler::GuestIndices::new(component))?,
            transform: get("transform", &has, || transform::GuestIndices::new(component))?,
            describe: get("describe", &has, || describe::GuestIndices::new(component))?,
            resident: get("resident", &has, || resident::GuestIndices::new(component))?,
        })
    }

    /// Compares the types of all of them with `wit/`.
    ///
    /// # Errors
    ///
    /// The interface that differs, and how.
    pub(crate) fn check(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> Result<(), (&'static str, wasmtime::Error)> {
        if let Some(export) = &self.message {
            export.load(&mut *store, instance).map_err(|error| ("on-message", error))?;
        }
        if let Some(export) = &self.event {
            export.load(&mut *store, instance).map_err(|error| ("on-event", error))?;
        }
        if let Some(export) = &self.action {
            export.load(&mut *store, instance).map_err(|error| ("on-action", error))?;
        }
        if let Some(export) = &self.transform {
            export.load(&mut *store, instance).map_err(|error| ("transform", error))?;
        }
        if let Some(export) = &self.describe {
            export.load(&mut *store, instance).map_err(|error| ("describe", error))?;
        }
        if let Some(export) = &self.resident {
            export.load(&mut *store, instance).map_err(|error| ("resident", error))?;
        }
        Ok(())
    }
}

/// What a call of a function comes to if the guest is not stopped.
pub(crate) type Returned<T> = wasmtime::Result<Result<T, Failure>>;

/// A handler's function.
pub(crate) trait Function {
    /// The interface it belongs to.
    const HANDLER: Handler;

    type Argument: Send + Sync + 'static;

    type Answer: Send + 'static;

    /// Calls it.
    fn call(
        exports: &Exports,
        store: &mut Store<State>,
        instance: &Instance,
        argument: &Self::Argument,
    ) -> impl Future<Output = Returned<Self::Answer>> + Send;

    /// How many bytes the answer has, about.
    fn weigh(answer: &Self::Answer) -> usize;
}

pub(crate) struct OnMessage;
pub(crate) struct OnEvent;
pub(crate) struct OnAction;
pub(crate) struct Transform;

impl Function for OnMessage {
    const HANDLER: Handler = Handler::Message;
    type Argument = Message;
    type Answer = Outcome;

    async fn call(
        exports: &Exports,
        store: &mut Store<State>,
        instance: &Instance,
        argument: &Message,
    ) -> Returned<Outcome> {
        let export = exports.message.as_ref().ok_or_else(absent)?;
        export.load(&mut *store, instance)?.call_on_message(store, argument).await
    }

    fn weigh(answer: &Outcome) -> usize {
        match answer {
            Outcome::Pass => 0,
            Outcome::Reply(replies) => replies.iter().map(reason::weigh_reply).sum(),
        }
    }
}

impl Function for OnEvent {
    const HANDLER: Handler = Handler::Event;
    type Argument = Event;
    type Answer = Vec<Effect>;

    async fn call(
        exports: &Exports,
        store: &mut Store<State>,
        instance: &Instance,
        argument: &Event,
    ) -> Returned<Vec<Effect>> {
        let export = exports.event.as_ref().ok_or_else(absent)?;
        export.load(&mut *store, instance)?.call_on_event(store, argument).await
    }

    fn weigh(answer: &Vec<Effect>) -> usize {
        answer.iter().map(reason::weigh_effect).sum()
    }
}

impl Function for OnAction {
    const HANDLER: Handler = Handler::Action;
    type Argument = Request;
    type Answer = Response;

    async fn call(
        exports: &Exports,
        store: &mut Store<State>,
        instance: &Instance,
        argument: &Request,
    ) -> Returned<Response> {
        let export = exports.action.as_ref().ok_or_else(absent)?;
        export.load(&mut *store, instance)?.call_on_action(store, argument).await
    }

    fn weigh(answer: &Response) -> usize {
        match answer {
            Response::None => 0,
            Response::Card(update) => update
                .data
                .iter()
                .chain(&update.private_data)
                .map(|(name, value)| name.len() + value.len())
                .sum(),
            Response::Json(body) => body.len(),
        }
    }
}

impl Function for Transform {
    const HANDLER: Handler = Handler::Transform;
    type Argument = Event;
    type Answer = Option<Event>;

    async fn call(
        exports: &Exports,
        store: &mut Store<State>,
        instance: &Instance,
        argument: &Event,
    ) -> Returned<Option<Event>> {
        let export = exports.transform.as_ref().ok_or_else(absent)?;
        export.load(&mut *store, instance)?.call_transform(store, argument).await
    }

    fn weigh(answer: &Option<Event>) -> usize {
        answer.as_ref().map_or(0, reason::weigh_event)
    }
}

/// Never seen: whether it exports the interface is asked before a call.
fn absent() -> wasmtime::Error {
    wasmtime::Error::msg("not exported")
}
