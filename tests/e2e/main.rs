//! End to end: the `belfry` program as a process, against a simulated DingTalk, over real sockets.

mod bot;
mod dev;
mod lifecycle;
mod messages;
mod plugins;
mod trouble;
