//! HTTP of guests against real servers on loopback.

mod fetch;
mod network;
mod server;
mod wasi;

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use belfry_plugin_host::{
    Host, HostConfig, HttpGrant, LookUp, OutboundConfig, Plugin, PluginSpec, ServiceFuture,
};
use belfry_toolchain::{Options, Progress, build_with};
use tokio::sync::OnceCell;

use crate::support::{ask, target_dir};
use server::Server;

/// The guest that sends what it is told, built once for all tests.
async fn caller() -> &'static [u8] {
    static BYTES: OnceCell<Vec<u8>> = OnceCell::const_new();
    let build = async || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let options = Options { target_dir: Some(target_dir().join("guests")), ..Options::default() };
        let mut said = String::new();
        let mut note = |line: Progress<'_>| said += &format!("{line:?}\n");
        let built = build_with(&root.join("tests/guests/caller"), &options, &mut note).await;
        let built = built.unwrap_or_else(|error| panic!("{error}\n{said}"));
        std::fs::read(built.wasm).unwrap()
    };
    BYTES.get_or_init(build).await
}

fn spec(grants: Vec<HttpGrant>) -> PluginSpec {
    let mut spec = PluginSpec::new("caller", "caller.wasm");
    spec.grants.http = grants;
    spec
}

async fn load(spec: PluginSpec, outbound: OutboundConfig) -> Arc<Plugin> {
    let host = Host::new(HostConfig { max_instances: 16, outbound, ..HostConfig::default() }).unwrap();
    host.load_bytes(spec, caller().await.to_vec()).await.unwrap()
}

/// A plugin that may reach `servers`, which are on loopback.
async fn plugin(servers: &[&Server]) -> Arc<Plugin> {
    load(spec(servers.iter().map(|server| grant(&server.url(""))).collect()), OutboundConfig::default()).await
}

/// A grant that may lead to a private address.
fn grant(text: &str) -> HttpGrant {
    HttpGrant { private: true, ..HttpGrant::parse(text).unwrap() }
}

/// What a guest is answered both ways.
async fn both(plugin: &Plugin, request: &str) -> [String; 2] {
    [ask(plugin, &format!("fetch {request}")).await, ask(plugin, &format!("wasi {request}")).await]
}

/// A look-up that answers from a list, one entry after the other, the last one again and again.
#[derive(Default)]
struct Names {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    fn new(answers: &[&[&str]]) -> (Arc<Names>, OutboundConfig) {
        let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        let answers = Mutex::new(answers.iter().map(parse).collect());
        let names = Arc::new(Names { answers, asked: Mutex::default() });
        let config = OutboundConfig { look_up: Some(names.clone()), ..OutboundConfig::default() };
        (names, config)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl LookUp for Names {
    fn look_up<'a>(&'a self, name: &'a str) -> ServiceFuture<'a, io::Result<Vec<IpAddr>>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Box::pin(async { Ok(answer) })
    }
}
