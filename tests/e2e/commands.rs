//! The commands that look at something, and the simulator by itself.

use std::{
    path::Path,
    process::{Output, Stdio},
};

use belfry_simulator::{Simulator, SimulatorConfig};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::bot::{PATIENCE, belfry, echo};

async fn run(arguments: &[&str]) -> Output {
    belfry().args(arguments).stdin(Stdio::null()).output().await.unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn config(folder: &Path, api_base: &str) -> String {
    let path = folder.join("belfry.toml");
    let text = format!(
        "[channels_config.dingtalk]\nclient_id = \"dingtest\"\nclient_secret = \"secret\"\nallowed_users = [\"*\"]\n\
         api_base = \"{api_base}\"\noapi_base = \"{api_base}\"\nproxy = \"none\"\n"
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn plugin_check_tells_a_component_from_something_else() {
    let component = echo().await;
    let good = run(&["plugin", "check", component.to_str().unwrap()]).await;
    assert!(good.status.success());
    assert!(out(&good).contains("message-handler"), "{}", out(&good));

    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes.wasm");
    std::fs::write(&notes, "buy milk").unwrap();
    let bad = run(&["plugin", "check", notes.to_str().unwrap()]).await;
    assert_eq!(bad.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&bad.stderr).contains("a text file"));
}

#[tokio::test]
async fn config_check_and_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "http://127.0.0.1:1");
    let good = run(&["config", "check", "--config", &path]).await;
    assert!(good.status.success() && out(&good).contains("can be used"), "{}", out(&good));

    let absent = folder.path().join("absent.toml");
    let bad = run(&["config", "check", "--config", absent.to_str().unwrap()]).await;
    assert_eq!(bad.status.code(), Some(2));

    let schema: serde_json::Value = serde_json::from_str(&out(&run(&["config", "schema"]).await)).unwrap();
    assert!(schema["properties"]["channels_config"].is_object());
}

#[tokio::test]
async fn completions_are_for_this_program() {
    let script = run(&["completions", "bash"]).await;
    assert!(script.status.success() && out(&script).contains("_belfry"));
}

#[tokio::test]
async fn the_doctor_tells_machines_and_by_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(SimulatorConfig::default()).await.unwrap();
    let path = config(folder.path(), simulator.base_url());
    let doctor = ["channel", "doctor", "dingtalk", "--json", "--config", &path];
    for healthy in [true, false] {
        let output = run(&doctor).await;
        let report: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
        assert_eq!(report["healthy"], healthy, "{report:#}");
        assert_eq!(output.status.code(), Some(i32::from(!healthy)));
        // The second time nobody is there.
        simulator.shutdown().await;
    }
}

#[tokio::test]
async fn the_simulator_runs_alone_and_says_where() {
    let mut process = belfry()
        .args(["simulate", "--port", "0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    let base =
        first.split(' ').find_map(|word| word.strip_suffix('.').filter(|word| word.starts_with("http")));
    let base = base.unwrap_or_else(|| panic!("no address in {first:?}"));

    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), base);
    assert!(run(&["channel", "doctor", "dingtalk", "--config", &path]).await.status.success());
    let seen = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with("registered") && line.contains("dingtest") {
                return true;
            }
        }
        false
    };
    assert!(tokio::time::timeout(PATIENCE, seen).await.unwrap(), "the registration is told");
}
