//! The doctor against a simulated DingTalk, and against none.

use std::path::Path;

use belfry_simulator::{
    ClosedBy, Credential, Credentials, Fault, Happening, Place, Simulator, SimulatorConfig,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::finding::Level;
use super::*;

struct Patient {
    folder: TempDir,
}

impl Patient {
    /// A config whose channel table begins with `api_base` and `oapi_base` at `base` and goes on with `rest`.
    fn new(base: &str, rest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        let proxy = if rest.contains("proxy") { "" } else { "proxy = \"none\"\n" };
        let text = format!(
            "[channels_config.dingtalk]\napi_base = \"{base}\"\noapi_base = \"{base}\"\n{proxy}{rest}\n\
             [host]\ncache_dir = \"cache\"\n[journal]\nkeep_size = \"1MiB\"\n"
        );
        std::fs::write(folder.path().join("belfry.toml"), text).unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    async fn examine(&self, app: Option<&str>) -> Report {
        examine(&Examination { config: self.path().join("belfry.toml"), app: app.map(str::to_owned) }).await
    }
}

async fn simulator() -> Simulator {
    let credentials =
        Credentials::List(vec![Credential::new("dingone", "right"), Credential::new("dingtwo", "right")]);
    Simulator::start(SimulatorConfig { credentials, ..SimulatorConfig::default() }).await.unwrap()
}

const ONE: &str = "client_id = \"dingone\"\nclient_secret = \"right\"\nallowed_users = [\"*\"]";

/// The only finding of this kind.
fn only(report: &Report, id: Check) -> &Finding {
    let found: Vec<&Finding> = report.findings.iter().filter(|finding| finding.id == id).collect();
    let [finding] = found[..] else { panic!("{id:?}: {found:#?}") };
    finding
}

fn has(report: &Report, id: Check) -> bool {
    report.findings.iter().any(|finding| finding.id == id)
}

/// What differs from run to run is replaced.
fn tidy(text: &str, patient: &Patient, base: &str) -> String {
    let address = base.trim_start_matches("http://");
    text.replace(patient.path().to_str().unwrap(), "/etc/belfry")
        .replace(address, "127.0.0.1:7171")
        .replace("os error 61", "os error 111")
}

fn snapshot(name: &str, shown: &str) {
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, shown);
    });
}

#[tokio::test]
async fn a_good_app_is_found_good() {
    let simulator = simulator().await;
    let patient = Patient::new(simulator.base_url(), ONE);
    let report = patient.examine(None).await;
    for id in [Check::Config, Check::Certificates, Check::Proxy, Check::Connection, Check::Credentials] {
        assert_eq!(only(&report, id).level, Level::Ok, "{report:#?}");
    }
    for id in [Check::Registration, Check::Clock, Check::WebSocket, Check::AllowList] {
        assert_eq!(only(&report, id).level, Level::Ok, "{report:#?}");
    }
    assert_eq!(only(&report, Check::Plugin).level, Level::Warning, "there is none");
    assert!(report.is_healthy());
    // The trial connection ends with a close frame and was counted by nobody as lost.
    let closed = simulator.wait_for(0, PATIENCE, |what| match what {
        Happening::Closed { by, .. } => Some(*by),
        _ => None,
    });
    assert_eq!(closed.await.unwrap(), ClosedBy::Client);
    snapshot("healthy", &tidy(&report.to_text(false), &patient, simulator.base_url()));
    snapshot("healthy_json", &tidy(&report.to_json(), &patient, simulator.base_url()));
}

#[tokio::test]
async fn each_app_is_examined() {
    let simulator = simulator().await;
    let two = "[channels_config.dingtalk.apps.sales]\nclient_id = \"dingtwo\"\nclient_secret = \"wrong\"";
    let patient = Patient::new(simulator.base_url(), &format!("{ONE}\n{two}"));
    let report = patient.examine(None).await;
    let of = |app: &str, id: Check| {
        let mut found =
            report.findings.iter().filter(|finding| finding.app.as_deref() == Some(app) && finding.id == id);
        found.next().unwrap().level
    };
    assert_eq!(of("default", Check::Registration), Level::Ok);
    assert_eq!(of("sales", Check::Registration), Level::Error);
    assert_eq!(of("sales", Check::AllowList), Level::Warning, "it is empty");
    assert!(!report.is_healthy());
    assert!(!report.to_json().contains("wrong"), "a secret was shown");

    let sound = patient.examine(Some("default")).await;
    assert!(sound.is_healthy());
    assert!(sound.findings.iter().all(|finding| finding.app.as_deref() != Some("sales")));
}

#[tokio::test]
async fn an_unknown_app_is_named() {
    let simulator = simulator().await;
    let patient = Patient::new(simulator.base_url(), ONE);
    let report = patient.examine(Some("defualt")).await;
    let finding = only(&report, Check::Config);
    assert_eq!(
        (finding.level, finding.mend.as_str()),
        (Level::Error, "did you mean default? the apps are default")
    );
}

#[tokio::test]
async fn a_wrong_secret() {
    let simulator = simulator().await;
    let wrong = ONE.replace("right", "wrong");
    let patient = Patient::new(simulator.base_url(), &wrong);
    let report = patient.examine(None).await;
    assert_eq!(only(&report, Check::Registration).level, Level::Error);
    assert!(!has(&report, Check::WebSocket), "there is no ticket to open one with");
    snapshot("wrong_secret", &tidy(&report.to_text(false), &patient, simulator.base_url()));
}

#[tokio::test]
async fn stream_mode_off() {
    let simulator = simulator().await;
    simulator.add_fault(Fault::not_stream_mode()).unwrap();
    let patient = Patient::new(simulator.base_url(), ONE);
    let report = patient.examine(None).await;
    assert_eq!(only(&report, Check::Registration).level, Level::Error);
    snapshot("stream_mode_off", &tidy(&report.to_text(false), &patient, simulator.base_url()));
}

#[tokio::test]
async fn too_many_calls_are_a_warning() {
    let simulator = simulator().await;
    simulator.add_fault(Fault::too_many_calls(Place::Registration)).unwrap();
    let report = Patient::new(simulator.base_url(), ONE).examine(None).await;
    assert_eq!(only(&report, Check::Registration).level, Level::Warning);
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let patient = Patient::new(&base, ONE);
    let report = patient.examine(None).await;
    assert_eq!(only(&report, Check::Connection).level, Level::Error);
    assert_eq!(only(&report, Check::Registration).level, Level::Error);
    snapshot("nobody_there", &tidy(&report.to_text(false), &patient, &base));
}

#[tokio::test]
async fn a_name_that_does_not_exist() {
    let report = Patient::new("https://gateway.belfry.invalid", ONE).examine(None).await;
    let finding = only(&report, Check::Dns);
    assert_eq!(finding.level, Level::Error);
    assert!(finding.what.contains("gateway.belfry.invalid"), "{}", finding.what);
}

#[tokio::test]
async fn something_else_than_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let plain = async {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 1024]).await;
            let _ =
                socket.write_all(b"HTTP/1.1 400 The plain HTTP request was sent to HTTPS port\r\n\r\n").await;
        }
    };
    let patient = Patient::new(&base, ONE);
    let report = tokio::select! {
        () = plain => unreachable!(),
        report = patient.examine(None) => report,
    };
    let finding = only(&report, Check::Connection);
    assert_eq!(finding.level, Level::Error);
    assert!(finding.what.contains("TLS"), "{}", finding.what);
}

/// A port that answers TLS with a certificate of its own for `name`, and 404 to whatever is asked. Gives its base and
/// the certificate in PEM form.
async fn tls_server(name: &str, valid_until: i32) -> (String, String) {
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(valid_until, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            if let Ok(mut socket) = acceptor.accept(socket).await {
                let _ = socket.read(&mut [0; 4096]).await;
                let _ = socket.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
                let _ = socket.shutdown().await;
            }
        }
    });
    (base, certificate.pem())
}

async fn connection_to_tls_server(name: &str, valid_until: i32, trusted: bool) -> Finding {
    let (base, certificate) = tls_server(name, valid_until).await;
    let ca = if trusted { "\nca_file = \"ca.pem\"" } else { "" };
    let patient = Patient::new(&base, &format!("{ONE}{ca}"));
    std::fs::write(patient.path().join("ca.pem"), certificate).unwrap();
    only(&patient.examine(None).await, Check::Connection).clone()
}

#[tokio::test]
async fn a_certificate_of_the_own_ca() {
    let finding = connection_to_tls_server("127.0.0.1", 2999, true).await;
    assert_eq!(finding.level, Level::Ok, "{finding:?}");
}

#[tokio::test]
async fn a_certificate_nobody_trusts() {
    let finding = connection_to_tls_server("127.0.0.1", 2999, false).await;
    assert_eq!(finding.level, Level::Error, "{finding:?}");
    assert!(finding.mend.contains("`ca_file`"), "{finding:?}");
}

#[tokio::test]
async fn a_certificate_for_another_name() {
    let finding = connection_to_tls_server("example.com", 2999, true).await;
    assert!(finding.mend.contains("another host answers"), "{finding:?}");
}

#[tokio::test]
async fn a_certificate_of_the_past() {
    let finding = connection_to_tls_server("127.0.0.1", 2001, true).await;
    assert!(finding.mend.contains("clock is ahead"), "{finding:?}");
}

#[tokio::test]
async fn a_proxy_that_is_not_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    drop(listener);
    let rest = format!("{ONE}\nproxy = \"http://me:hunter2@{proxy}\"");
    let report = Patient::new("https://gateway.belfry.invalid", &rest).examine(None).await;
    let finding = only(&report, Check::Proxy);
    assert_eq!(finding.what, format!("gateway.belfry.invalid:443 through the proxy {proxy}"));
    assert!(!has(&report, Check::Dns), "the proxy looks the name up");
    assert!(only(&report, Check::Connection).what.contains("proxy"), "{report:#?}");
    assert!(!report.to_json().contains("hunter2"), "the password was shown");
}

#[tokio::test]
async fn a_ca_file_without_certificates() {
    let simulator = simulator().await;
    let patient = Patient::new(simulator.base_url(), &format!("{ONE}\nca_file = \"ca.pem\""));
    std::fs::write(patient.path().join("ca.pem"), "not a certificate").unwrap();
    let report = patient.examine(None).await;
    let finding = only(&report, Check::Certificates);
    assert_eq!(finding.level, Level::Error);
    assert!(finding.what.contains("ca.pem"), "{}", finding.what);
    assert!(!has(&report, Check::Registration), "nothing goes out without the CA that was asked for");
}

#[tokio::test]
async fn a_broken_config() {
    let patient = Patient::new("http://127.0.0.1:1", "clientid = \"x\"");
    let report = patient.examine(None).await;
    let finding = only(&report, Check::Config);
    assert_eq!((finding.level, finding.mend.as_str()), (Level::Error, "did you mean `client_id`?"));
    assert!(finding.what.contains("belfry.toml:5:1"), "{}", finding.what);
}

#[tokio::test]
async fn a_folder_that_is_not_there() {
    let simulator = simulator().await;
    let patient = Patient::new(simulator.base_url(), &format!("{ONE}\nplugins = [\"todo\"]"));
    std::fs::remove_dir(patient.path().join("plugins")).unwrap();
    let report = patient.examine(None).await;
    assert_eq!(only(&report, Check::PluginFolder).level, Level::Warning);
    let missing = report.findings.iter().find(|finding| finding.what.contains("\"todo\"")).unwrap();
    assert_eq!((missing.level, missing.app.as_deref()), (Level::Warning, Some("default")));
}

#[tokio::test]
async fn a_file_that_is_no_component() {
    let simulator = simulator().await;
    let patient = Patient::new(simulator.base_url(), ONE);
    std::fs::write(patient.path().join("plugins/notes.wasm"), "buy milk").unwrap();
    let report = patient.examine(None).await;
    let finding = only(&report, Check::Plugin);
    assert_eq!(finding.level, Level::Error);
    assert!(finding.what.contains("notes"), "{}", finding.what);
}

#[test]
fn colours_mark_the_level() {
    let report = Report { findings: vec![Finding::error(Check::Dns, "a\x1b[2Jb", "c")] };
    let text = report.to_text(true);
    assert!(text.contains("\x1b[31merror  \x1b[0m"), "{text:?}");
    assert!(!text.contains("\x1b[2J"), "{text:?}");
    assert!(!report.to_text(false).contains('\x1b'));
}

#[test]
fn long_sentences_are_broken_below_each_other() {
    let sentence = "word ".repeat(40);
    let report = Report {
        findings: vec![
            Finding::warning(Check::Registration, &sentence, &sentence).of_app("sales"),
            Finding::ok(Check::Plugin, "short"),
        ],
    };
    snapshot("broken_lines", &report.to_text(false));
}
