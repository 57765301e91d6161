//! What a plugin can handle, and [`export!`](crate::export).

use crate::Failure;
use crate::types::{Effect, Event, Info, Message, Outcome, Request, Response};

/// Answers messages.
pub trait MessageHandler {
    /// Called once for each message that is routed to the plugin. Returning [`Outcome::Pass`] hands it to the next plugin.
    ///
    /// # Errors
    ///
    /// A temporary failure is tried again with [`Message::attempt`] counted up; a permanent one is not.
    fn on_message(message: Message) -> Result<Outcome, Failure>;
}

/// Handles organisation events, ticks of a schedule, events of other plugins: what `on` and `schedule` of the config take.
pub trait EventHandler {
    /// Called once for each event. The effects are carried out in this order, once the call has ended well.
    ///
    /// # Errors
    ///
    /// As [`MessageHandler::on_message`].
    fn on_event(event: Event) -> Result<Vec<Effect>, Failure>;
}

/// Answers buttons of cards and calls of AI assistants, within two seconds.
pub trait ActionHandler {
    /// Called once for each request, and never again.
    ///
    /// # Errors
    ///
    /// Every failure is final; the card keeps its looks.
    fn on_action(request: Request) -> Result<Response, Failure>;
}

/// Changes events on their way through a connection.
pub trait Transform {
    /// The event to go on in place of this one; none ends its way.
    ///
    /// # Errors
    ///
    /// As [`MessageHandler::on_message`].
    fn transform(event: Event) -> Result<Option<Event>, Failure>;
}

/// Says what the plugin is.
pub trait Describe {
    /// Called once when the plugin is loaded. Only the config can be read. [`describe!`](crate::describe!) writes it for you.
    fn describe() -> Info;
}

/// Keeps one instance alive over many messages, with `per = "resident"` in the config.
pub trait Resident {
    /// Called once in each new instance, before its first message.
    ///
    /// # Errors
    ///
    /// A failure refuses the build.
    fn init() -> Result<(), String> {
        Ok(())
    }

    /// What the next instance should know, at most 1 MiB.
    ///
    /// # Errors
    ///
    /// The next instance starts without it.
    fn snapshot() -> Result<Vec<u8>, String>;

    /// Takes over what the instance before said, perhaps one of another build.
    ///
    /// # Errors
    ///
    /// A failure of a new build refuses it.
    fn restore(state: Vec<u8>) -> Result<(), String>;
}

/// One world for each handler, so that a plugin's component type names just what it exports.
macro_rules! world {
    ($module:ident, $interface:literal, $export:literal, { $($with:tt)* }) => {
        #[doc(hidden)]
        #[allow(missing_docs, clippy::all, clippy::restriction, reason = "generated")]
        pub mod $module {
            wit_bindgen::generate!({
                path: "wit",
                inline: $interface,
                with: { $($with)* },
                additional_derives: [PartialEq, Eq],
                pub_export_macro: true,
                export_macro_name: $export,
            });
        }
    };
}

world!(
    message,
    "package belfry:sdk-message; world message { export belfry:bot/message-handler@0.1.0; }",
    "export_message",
    { "belfry:bot/types@0.1.0": crate::bindings::belfry::bot::types }
);
world!(
    event,
    "package belfry:sdk-event; world event { export belfry:bot/event-handler@0.1.0; }",
    "export_event",
    { "belfry:bot/types@0.1.0": crate::bindings::belfry::bot::types, "belfry:bot/events@0.1.0": crate::bindings::belfry::bot::events }
);
world!(
    action,
    "package belfry:sdk-action; world action { export belfry:bot/action-handler@0.1.0; }",
    "export_action",
    { "belfry:bot/types@0.1.0": crate::bindings::belfry::bot::types }
);
world!(
    transform,
    "package belfry:sdk-transform; world transform { export belfry:bot/transform@0.1.0; }",
    "export_transform",
    { "belfry:bot/types@0.1.0": crate::bindings::belfry::bot::types, "belfry:bot/events@0.1.0": crate::bindings::belfry::bot::events }
);
world!(
    describe,
    "package belfry:sdk-describe; world describe { export belfry:bot/describe@0.1.0; }",
    "export_describe",
    {}
);
world!(
    resident,
    "package belfry:sdk-resident; world resident { export belfry:bot/resident@0.1.0; }",
    "export_resident",
    {}
);

/// Makes a type's handlers known to the host: `export!(Type: MessageHandler, Describe);`. Only what is named here is exported.
#[macro_export]
macro_rules! export {
    ($type:ty: $($handler:ident),+ $(,)?) => {
        $($crate::__export!($handler $type);)+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    (MessageHandler $type:ty) => {
        const _: () = {
            struct Exported;
            impl $crate::handlers::message::exports::belfry::bot::message_handler::Guest for Exported {
                fn on_message(
                    message: $crate::types::Message,
                ) -> Result<$crate::types::Outcome, $crate::types::Failure> {
                    <$type as $crate::MessageHandler>::on_message(message).map_err(Into::into)
                }
            }
            $crate::handlers::message::export_message!(Exported with_types_in $crate::handlers::message);
        };
    };
    (EventHandler $type:ty) => {
        const _: () = {
            struct Exported;
            impl $crate::handlers::event::exports::belfry::bot::event_handler::Guest for Exported {
                fn on_event(
                    event: $crate::types::Event,
                ) -> Result<Vec<$crate::types::Effect>, $crate::types::Failure> {
                    <$type as $crate::EventHandler>::on_event(event).map_err(Into::into)
                }
            }
            $crate::handlers::event::export_event!(Exported with_types_in $crate::handlers::event);
        };
    };
    (ActionHandler $type:ty) => {
        const _: () = {
            struct Exported;
            impl $crate::handlers::action::exports::belfry::bot::action_handler::Guest for Exported {
                fn on_action(
                    request: $crate::types::Request,
                ) -> Result<$crate::types::Response, $crate::types::Failure> {
                    <$type as $crate::ActionHandler>::on_action(request).map_err(Into::into)
                }
            }
            $crate::handlers::action::export_action!(Exported with_types_in $crate::handlers::action);
        };
    };
    (Transform $type:ty) => {
        const _: () = {
            struct Exported;
            impl $crate::handlers::transform::exports::belfry::bot::transform::Guest for Exported {
                fn transform(
                    event: $crate::types::Event,
                ) -> Result<Option<$crate::types::Event>, $crate::types::Failure> {
                    <$type as $crate::Transform>::transform(event).map_err(Into::into)
                }
            }
            $crate::handlers::transform::export_transform!(Exported with_types_in $crate::handlers::transform);
        };
    };
    (Describe $type:ty) => {
        const _: () = {
            struct Exported;
            impl $crate::handlers::describe::exports::belfry::bot::describe::Guest for Exported {
                fn describe() -> $crate::types::Info {
                    <$type as $crate::Describe>::describe()
                }
            }
            $crate::handlers::describe::export_describe!(Exported with_types_in $crate::handlers::describe);
        };
    };
    (Resident $type:ty) => {
        const _: () = {
            struct Exported;
            impl $crate::handlers::resident::exports::belfry::bot::resident::Guest for Exported {
                fn init() -> Result<(), String> {
                    <$type as $crate::Resident>::init()
                }
                fn snapshot() -> Result<Vec<u8>, String> {
                    <$type as $crate::Resident>::snapshot()
                }
                fn restore(state: Vec<u8>) -> Result<(), String> {
                    <$type as $crate::Resident>::restore(state)
                }
            }
            $crate::handlers::resident::export_resident!(Exported with_types_in $crate::handlers::resident);
        };
    };
}

/// An [`Info`] with the name, version and description of the plugin's `Cargo.toml`:
/// `describe!("/todo" => "Keeps a list", "/done" => "Crosses out")`, or `describe!()`. Add `; help = "…"` for markdown on how
/// to use it.
#[macro_export]
macro_rules! describe {
    ($($name:literal => $help:expr),* $(,)?) => { $crate::describe!($($name => $help),*; help = "") };
    ($($name:literal => $help:expr),* $(,)?; help = $text:expr) => {
        $crate::types::Info {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: env!("CARGO_PKG_DESCRIPTION").to_owned(),
            commands: vec![$($crate::types::Command { name: ($name).to_owned(), help: ($help).to_owned() }),*],
            help: ($text).to_owned(),
        }
    };
}
