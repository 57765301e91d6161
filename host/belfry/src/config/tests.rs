//! What an operator reads for each mistake, and what a good file becomes.

use std::path::Path;

use secrecy::ExposeSecret as _;

use super::*;

const GOOD: &str = r#"
[channels_config.dingtalk]
client_id = "dingone"
client_secret = "${env:SECRET}"
allowed_users = ["manager1234"]
"#;

fn env(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some("s3cret".to_owned()),
        "HOST" => Some("inner.example.com".to_owned()),
        "EMPTY" => Some(String::new()),
        "HOME" => Some("/home/op".to_owned()),
        _ => None,
    }
}

fn good(text: &str) -> Loaded {
    parse(Path::new("/etc/belfry/belfry.toml"), text, &env).unwrap()
}

/// The message for `text`; it must not hold a value that could be a secret.
fn refusal(text: &str) -> String {
    let error = parse(Path::new("belfry.toml"), text, &env).unwrap_err();
    let message = error.to_string();
    assert!(!message.contains("s3cret"), "{message}");
    assert!(!format!("{error:?}").contains("s3cret"));
    message
}

#[test]
fn the_minimal_file_is_valid() {
    let env = |name: &str| (name == "DINGTALK_CLIENT_SECRET").then(|| "x".to_owned());
    let loaded = parse(Path::new("belfry.toml"), MINIMAL, &env).unwrap();
    assert_eq!(loaded.warnings, []);
    assert!(loaded.config.dingtalk.apps.contains_key(DEFAULT_APP));
}

#[test]
fn defaults() {
    let Loaded { config, warnings, .. } = good(GOOD);
    assert_eq!(warnings, []);
    let app = &config.dingtalk.apps[DEFAULT_APP];
    assert_eq!(app.client_secret.expose_secret(), "s3cret");
    assert_eq!(app.api_base.as_str(), "https://api.dingtalk.com/");
    assert_eq!(app.oapi_base.as_str(), "https://oapi.dingtalk.com/");
    assert_eq!((&app.plugins, &app.denied_reply), (&None, &None));
    assert!(matches!(config.dingtalk.transport.proxy, Proxy::Environment));
    assert_eq!(config.plugins_dir, Path::new("/etc/belfry/plugins"));
    assert_eq!(config.cache_dir.as_deref(), Some(Path::new("/home/op/.cache/belfry")));
    assert_eq!(config.pipeline, Pipeline::default());
    assert_eq!(config.journal, Journal::on_disk("/etc/belfry/belfry.journal".into()));
    assert_eq!(config.control_socket.as_deref(), Some(Path::new("/etc/belfry/belfry.journal/control.sock")));
    assert_eq!(config.quota, Quota { api_calls: 5_000, stream_pushes: 3_000 });
    assert_eq!(config.log, Log { format: LogFormat::Human, level: LogLevel::Info });
}

#[test]
fn everything_set() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    std::fs::write(folder.path().join("secrets/sales"), "from-file\r\n").unwrap();
    let text = r#"
        [channels_config.dingtalk]
        api_base = "http://127.0.0.1:8080"
        ca_file = "ca.pem"
        proxy = "http://user:${env:SECRET}@proxy:8080"
        no_proxy = [".internal"]

        [channels_config.dingtalk.apps.sales]
        client_id = "dingsales"
        client_secret = "${file:secrets/sales}"
        allowed_users = ["*"]
        plugins = ["todo"]
        denied_reply = "no"

        [channels_config.dingtalk.apps.hr]
        client_id = "dinghr"
        client_secret = "$${plain}"
        api_base = "https://api.dingtalk.io"

        [plugins.todo]
        commands = ["/todo", "/待办"]
        order = -5
        config = { greeting = "hello ${name}" }
        sha256 = "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08"
        kv = "16MiB"
        per = "resident"
        failure_reply = "no todo"
        on = { type = ["dingtalk.org_dept_create"], data = { n = [{ numeric = [">", 1.5] }], ok = [true] } }
        schedule = [{ name = "daily", cron = "0 9 * * 1-5", tz = "Asia/Shanghai", missed = "once" }]
        http = [
            "https://api.example.com",
            "http://${env:HOST}:8080",
            { host = "*.example.com", port = 8443, private = true, headers = { Authorization = "Bearer ${env:SECRET}" } },
        ]
        limits = { transfer = "1MiB", requests = 3, sends = 0, memory = "32MiB", cpu = "250ms", deadline = "1m", host_bytes = "1MB", output = "20000B", log_bytes = "4KiB" }

        [plugins.todo.chat]
        app = "sales"
        users = ["*"]
        groups = ["cidgroup=="]
        card_template = "t.schema"
        card_interval = "2s"

        [plugins.other]
        path = "/opt/other.wasm"
        description = "does other things"

        [host]
        plugins_dir = "drop"
        cache_dir = "cache"
        control_socket = "run/belfry.sock"

        [journal]
        engine = "disk"
        path = "kept"
        commit_window = "0ms"
        keep_for = "30d"
        keep_size = "1GiB"

        [quota]
        api_calls = 10_000
        stream_pushes = 20_000

        [pipeline]
        pending = 1_000
        pending_bytes = "16MiB"
        handle_within = "10s"
        deliver_within = "1h"
        shutdown_grace = "5s"
        failure_reply = ""
        replies_per_minute = 0

        [log]
        format = "json"
        level = "debug"
    "#;
    let path = folder.path().join("belfry.toml");
    std::fs::write(&path, text).unwrap();
    let Loaded { config, warnings, .. } = load_with(&path, &env).unwrap();

    assert_eq!(config.dingtalk.apps.keys().collect::<Vec<_>>(), ["hr", "sales"]);
    let sales = &config.dingtalk.apps["sales"];
    assert_eq!(sales.client_secret.expose_secret(), "from-file");
    assert_eq!(sales.api_base.as_str(), "http://127.0.0.1:8080/");
    assert_eq!(sales.plugins.as_deref(), Some(&["todo".to_owned()][..]));
    let hr = &config.dingtalk.apps["hr"];
    assert_eq!(hr.client_secret.expose_secret(), "${plain}");
    assert_eq!(hr.api_base.as_str(), "https://api.dingtalk.io/");
    let Proxy::Url(proxy) = &config.dingtalk.transport.proxy else { panic!() };
    assert_eq!(proxy.expose().as_str(), "http://user:s3cret@proxy:8080/");
    assert_eq!(config.dingtalk.transport.ca_file, Some(folder.path().join("ca.pem")));

    assert_eq!(config.plugins.len(), 2);
    let todo = &config.plugins[1];
    assert_eq!(todo.path, folder.path().join("drop/todo.wasm"));
    assert_eq!(todo.config["greeting"], "hello ${name}");
    assert_eq!(
        todo.limits,
        Limits {
            memory: Some(32 << 20),
            cpu: Some(Duration::from_millis(250)),
            deadline: Some(Duration::from_secs(60)),
            host_bytes: Some(1_000_000),
            output: Some(20_000),
            log_bytes: Some(4096),
            transfer: Some(1 << 20),
            requests: Some(3),
            sends: Some(0),
        }
    );
    assert!(todo.sha256.as_ref().unwrap().starts_with("9f86d081"));
    assert_eq!(todo.lifetime, Lifetime::Resident { recycle_after: 1000 });
    assert_eq!(todo.failure_reply.as_deref(), Some("no todo"));
    assert_eq!(todo.grants.key_value, 16 << 20);
    let http: Vec<String> = todo.grants.http.iter().map(|grant| format!("{grant:?}")).collect();
    assert_eq!(
        http,
        [
            r#"HttpGrant { scheme: Https, host: "api.example.com", port: None, private: false, headers: [] }"#,
            r#"HttpGrant { scheme: Http, host: "inner.example.com", port: Some(8080), private: false, headers: [] }"#,
            r#"HttpGrant { scheme: Https, host: "*.example.com", port: Some(8443), private: true, headers: ["authorization"] }"#,
        ]
    );
    assert_eq!(todo.grants.http[2].headers[0].1.expose_secret(), "Bearer s3cret");
    assert_eq!(
        todo.grants.chat,
        ChatGrant {
            app: Some("sales".to_owned()),
            users: vec!["*".to_owned()],
            groups: vec!["cidgroup==".to_owned()],
            live: belfry_plugin_host::LiveSettings {
                template: Some("t.schema".to_owned()),
                key: "content".to_owned(),
                interval: Duration::from_secs(2),
            },
        }
    );
    let on = todo.on.as_ref().unwrap();
    let event =
        |n: f64| serde_json::json!({ "type": "dingtalk.org_dept_create", "data": { "n": n, "ok": true } });
    assert!(on.matches(&event(2.0)) && !on.matches(&event(1.0)));
    let schedules: Vec<_> = todo.schedules.iter().map(|one| (one.name(), one.missed())).collect();
    assert_eq!(schedules, [("daily", belfry_pipeline::Missed::Once)]);
    assert_eq!(config.plugins[0].path, Path::new("/opt/other.wasm"));
    assert_eq!(config.cache_dir, Some(folder.path().join("cache")));
    assert_eq!(
        config.pipeline,
        Pipeline {
            pending: Some(1_000),
            pending_bytes: Some(16 << 20),
            handle_within: Duration::from_secs(10),
            deliver_within: Duration::from_secs(3600),
            shutdown_grace: Duration::from_secs(5),
            failure_reply: None,
            replies_per_minute: None,
        }
    );
    assert_eq!(config.control_socket, Some(folder.path().join("run/belfry.sock")));
    assert_eq!(
        config.journal,
        Journal {
            engine: JournalEngine::Disk,
            path: folder.path().join("kept"),
            commit_window: Duration::ZERO,
            keep_for: Duration::from_secs(30 * 86_400),
            keep_size: 1 << 30,
        }
    );
    assert_eq!(config.quota, Quota { api_calls: 10_000, stream_pushes: 20_000 });
    assert_eq!(config.log, Log { format: LogFormat::Json, level: LogLevel::Debug });
    assert_eq!(warnings.len(), 1, "the empty allow-list of hr: {warnings:?}");
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn a_journal_in_memory_has_no_control_socket_unless_one_is_named() {
    let Loaded { config, .. } = good(&format!("{GOOD}[journal]\nengine = \"memory\"\n"));
    assert_eq!((config.journal, config.control_socket), (Journal::in_memory(), None));
    let named = good(&format!("{GOOD}[journal]\nengine = \"memory\"\n[host]\ncontrol_socket = \"s\"\n"));
    assert_eq!(named.config.control_socket.as_deref(), Some(Path::new("/etc/belfry/s")));
}

#[test]
fn a_command_that_looks_needs_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("belfry.toml");
    let text = "[channels_config.dingtalk]\nclient_id = \"${env:BELFRY_NOT_SET}\"\n\
                client_secret = \"${file:not/there}\"\napi_base = \"${env:BELFRY_NOT_SET}\"\nplugins = [\"a\"]\n\
                [journal]\npath = \"kept\"\n";
    std::fs::write(&path, text).unwrap();
    assert!(load(&path).is_err());
    let config = load_without_secrets(&path).unwrap().config;
    assert_eq!(config.journal.path, folder.path().join("kept"));
    assert_eq!(config.dingtalk.apps[DEFAULT_APP].plugins.as_deref(), Some(&["a".to_owned()][..]));

    std::fs::write(&path, format!("{text}keep_for = \"soon\"\n")).unwrap();
    let error = load_without_secrets(&path).unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
}

#[test]
fn the_schema_file_is_current() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/host/belfry/belfry.schema.json");
    let written = std::fs::read_to_string(file).unwrap_or_default().replace("\r\n", "\n");
    assert!(written == schema(), "host/belfry/belfry.schema.json is old: run `cargo xtask schemas`");
}

#[test]
fn the_schema_knows_no_null() {
    assert!(!schema().contains("null"), "TOML has no null");
}

/// Whole files.
const FILES: &[(&str, &str)] = &[
    ("empty file", ""),
    ("not toml", "[channels_config.dingtalk]\nclient_id = dingone\n"),
    ("unclosed text", "[channels_config.dingtalk]\nclient_secret = \"s3cret\n"),
    ("key twice", "[log]\nformat = \"json\"\nformat = \"json\"\n"),
    ("table twice", "[log]\nlevel = \"info\"\n[log]\nformat = \"json\"\n"),
    ("unknown key", "[channels_config.dingtalk]\nclientid = \"dingone\"\nclient_secret = \"x\"\n"),
    ("unknown key far off", "[channels_config.dingtalk]\nzzz = 1\n"),
    ("unknown table", "[chanels_config.dingtalk]\nclient_id = \"dingone\"\n"),
    ("unknown channel", "[channels_config.telegram]\ntoken = \"x\"\n"),
    ("key in wrong table", "plugins_dir = \"x\"\n"),
    (
        "several at once",
        "[channels_config.dingtalk]\nclient_id = 5\nclient_secret = [\"s3cret\"]\nallowed_users = \"*\"\nmention_only = true\n[pipeline]\npending = \"many\"\n",
    ),
    ("secret missing", "[channels_config.dingtalk]\nclient_id = \"dingone\"\n"),
    ("secret empty", "[channels_config.dingtalk]\nclient_id = \"dingone\"\nclient_secret = \" \"\n"),
    (
        "secret variable not set",
        "[channels_config.dingtalk]\nclient_id = \"dingone\"\nclient_secret = \"${env:NOT_SET}\"\n",
    ),
    (
        "secret variable empty",
        "[channels_config.dingtalk]\nclient_id = \"dingone\"\nclient_secret = \"${env:EMPTY}\"\n",
    ),
    (
        "secret file missing",
        "[channels_config.dingtalk]\nclient_id = \"dingone\"\nclient_secret = \"${file:no/such/file}\"\n",
    ),
    (
        "secret reference without kind",
        "[channels_config.dingtalk]\nclient_id = \"dingone\"\nclient_secret = \"${SECRET}\"\n",
    ),
    (
        "secret reference unclosed",
        "[channels_config.dingtalk]\nclient_id = \"dingone\"\nclient_secret = \"${env:SECRET\"\n",
    ),
    ("client id with space", "[channels_config.dingtalk]\nclient_id = \"ding one\"\nclient_secret = \"x\"\n"),
    ("app without id", "[channels_config.dingtalk.apps.sales]\nclient_secret = \"x\"\n"),
    ("allow list without app", "[channels_config.dingtalk]\nallowed_users = [\"*\"]\n"),
    ("table is text", "channels_config = \"dingtalk\"\n"),
];

/// Added to a good file whose last table is `[channels_config.dingtalk]`.
const ADDED: &[(&str, &str)] = &[
    (
        "same client id",
        "[channels_config.dingtalk.apps.two]\nclient_id = \"dingone\"\nclient_secret = \"x\"\nallowed_users = [\"*\"]\n",
    ),
    (
        "app named default",
        "[channels_config.dingtalk.apps.default]\nclient_id = \"dingtwo\"\nclient_secret = \"x\"\n",
    ),
    (
        "app name with space",
        "[channels_config.dingtalk.apps.\"the sales\"]\nclient_id = \"dingtwo\"\nclient_secret = \"x\"\n",
    ),
    ("base not a url", "api_base = \"api.dingtalk.io\"\n"),
    ("base of another scheme", "api_base = \"ftp://api.dingtalk.io\"\n"),
    ("base with password", "oapi_base = \"https://me:s3cret@oapi.dingtalk.io\"\n"),
    ("proxy not a url", "proxy = \"proxy.example.com\"\n"),
    ("proxy socks", "proxy = \"socks5://127.0.0.1:1080\"\n"),
    ("no proxy without proxy", "no_proxy = [\"a\"]\n"),
    (
        "command twice",
        "[plugins.todo]\ncommands = [\"/todo\"]\n[plugins.tasks]\ncommands = [\"/list\", \"/todo\"]\n",
    ),
    ("command twice in one", "[plugins.todo]\ncommands = [\"/todo\", \"/todo\"]\n"),
    ("command without slash", "[plugins.todo]\ncommands = [\"todo\"]\n"),
    ("command with space", "[plugins.todo]\ncommands = [\"/to do\"]\n"),
    ("command only slash", "[plugins.todo]\ncommands = [\"/\"]\n"),
    ("plugin unknown key", "[plugins.todo]\ncommand = [\"/todo\"]\n"),
    ("plugin config not text", "[plugins.todo]\nconfig = { retries = 3 }\n"),
    ("plugin name", "[plugins.\"to/do\"]\n"),
    ("plugin path empty", "[plugins.todo]\npath = \"\"\n"),
    ("plugin order too large", "[plugins.todo]\norder = 3_000_000_000\n"),
    ("sha256", "[plugins.todo]\nsha256 = \"sha256:9f86\"\n"),
    ("observer with commands", "[plugins.todo]\nobserve = true\ncommands = [\"/todo\"]\n"),
    ("observe as text", "[plugins.todo]\nobserve = \"yes\"\n"),
    ("per", "[plugins.todo]\nper = \"residents\"\n"),
    ("recycled after one message", "[plugins.todo]\nrecycle_after = 10\n"),
    ("recycled never", "[plugins.todo]\nper = \"resident\"\nrecycle_after = 0\n"),
    ("kv without unit", "[plugins.todo]\nkv = \"1\"\n"),
    ("kv too large", "[plugins.todo]\nkv = \"2GiB\"\n"),
    ("http not a list", "[plugins.todo]\nhttp = \"https://api.example.com\"\n"),
    ("http entry a number", "[plugins.todo]\nhttp = [443]\n"),
    ("http without scheme", "[plugins.todo]\nhttp = [\"api.example.com\"]\n"),
    ("http of another scheme", "[plugins.todo]\nhttp = [\"ftp://api.example.com\"]\n"),
    ("http with a path", "[plugins.todo]\nhttp = [\"https://api.example.com/v1\"]\n"),
    ("http with a wrong port", "[plugins.todo]\nhttp = [\"https://api.example.com:https\"]\n"),
    ("http wildcard inside", "[plugins.todo]\nhttp = [\"https://api.*.com\"]\n"),
    ("http with a password", "[plugins.todo]\nhttp = [\"https://me:${env:SECRET}@example.com\"]\n"),
    ("http variable not set", "[plugins.todo]\nhttp = [\"${env:NOT_SET}\"]\n"),
    ("http without host", "[plugins.todo]\nhttp = [{ port = 8443 }]\n"),
    ("http host is a url", "[plugins.todo]\nhttp = [{ host = \"https://api.example.com\" }]\n"),
    ("http host with port", "[plugins.todo]\nhttp = [{ host = \"api.example.com:8443\" }]\n"),
    ("http unknown key", "[plugins.todo]\nhttp = [{ host = \"api.example.com\", header = {} }]\n"),
    ("http scheme", "[plugins.todo]\nhttp = [{ host = \"api.example.com\", scheme = \"htps\" }]\n"),
    ("http port", "[plugins.todo]\nhttp = [{ host = \"api.example.com\", port = 70000 }]\n"),
    ("http private as text", "[plugins.todo]\nhttp = [{ host = \"api.example.com\", private = \"no\" }]\n"),
    (
        "http header name",
        "[plugins.todo]\nhttp = [{ host = \"a.example.com\", headers = { \"a b\" = \"x\" } }]\n",
    ),
    (
        "http header host",
        "[plugins.todo]\nhttp = [{ host = \"a.example.com\", headers = { Host = \"x\" } }]\n",
    ),
    (
        "http header value",
        "[plugins.todo]\nhttp = [{ host = \"a.example.com\", headers = { A = \"s3cret\\nB: c\" } }]\n",
    ),
    (
        "http header variable not set",
        "[plugins.todo]\nhttp = [{ host = \"a.example.com\", headers = { A = \"${env:NOT_SET}\" } }]\n",
    ),
    ("chat app unknown", "[plugins.todo]\nchat = { app = \"sales\" }\n"),
    ("chat app misspelt", "[plugins.todo]\nchat = { app = \"defalt\" }\n"),
    ("chat user empty", "[plugins.todo]\nchat = { users = [\"\", \" a\"] }\n"),
    ("chat group not a list", "[plugins.todo]\nchat = { groups = \"cid\" }\n"),
    ("chat card key alone", "[plugins.todo]\nchat = { card_key = \"text\", card_interval = \"1s\" }\n"),
    (
        "chat card interval",
        "[plugins.todo]\nchat = { card_template = \"x.schema\", card_interval = \"50ms\" }\n",
    ),
    ("chat card template empty", "[plugins.todo]\nchat = { card_template = \"\" }\n"),
    ("pattern value not a list", "[plugins.todo]\non = { type = \"dingtalk.org_dept_create\" }\n"),
    ("pattern with an unknown operator", "[plugins.todo]\non = { type = [{ prefiks = \"dingtalk.\" }] }\n"),
    ("pattern not a table", "[plugins.todo]\non = \"dingtalk.org_dept_create\"\n"),
    ("pattern with a date", "[plugins.todo]\non = { time = [2026-01-01] }\n"),
    ("schedule not a list", "[plugins.todo]\nschedule = { name = \"daily\", cron = \"0 9 * * *\" }\n"),
    ("schedule without cron", "[plugins.todo]\nschedule = [{ name = \"daily\" }]\n"),
    ("schedule without name", "[plugins.todo]\nschedule = [{ cron = \"0 9 * * *\" }]\n"),
    (
        "schedule with a wrong cron line",
        "[plugins.todo]\nschedule = [{ name = \"daily\", cron = \"9 o'clock\" }]\n",
    ),
    (
        "schedule with an hour too late",
        "[plugins.todo]\nschedule = [{ name = \"daily\", cron = \"0 25 * * *\" }]\n",
    ),
    (
        "schedule with a wrong zone",
        "[plugins.todo]\nschedule = [{ name = \"daily\", cron = \"0 9 * * *\", tz = \"Beijing\" }]\n",
    ),
    (
        "schedule missed",
        "[plugins.todo]\nschedule = [{ name = \"daily\", cron = \"0 9 * * *\", missed = \"all\" }]\n",
    ),
    (
        "schedule twice",
        "[[plugins.todo.schedule]]\nname = \"daily\"\ncron = \"0 9 * * *\"\n[[plugins.todo.schedule]]\nname = \"daily\"\ncron = \"0 8 * * *\"\n",
    ),
    ("limit count", "[plugins.todo]\nlimits = { requests = -1 }\n"),
    ("limit without unit", "[plugins.todo]\nlimits = { memory = \"64\" }\n"),
    ("limit as number", "[plugins.todo]\nlimits = { memory = 67108864 }\n"),
    ("limit zero", "[plugins.todo]\nlimits = { cpu = \"0ms\" }\n"),
    ("limit above what can be addressed", "[plugins.todo]\nlimits = { memory = \"5GiB\" }\n"),
    ("limit unknown", "[plugins.todo]\nlimits = { ram = \"64MiB\" }\n"),
    ("pipeline zero", "[pipeline]\npending = 0\n"),
    ("pipeline time", "[pipeline]\nshutdown_grace = \"soon\"\n"),
    ("journal engine", "[journal]\nengine = \"sqlite\"\n"),
    ("journal in memory with a path", "[journal]\nengine = \"memory\"\npath = \"x\"\nkeep_for = \"1h\"\n"),
    ("journal commit window", "[journal]\ncommit_window = \"2s\"\n"),
    ("journal commit window as number", "[journal]\ncommit_window = 5\n"),
    ("journal keep for ever", "[journal]\nkeep_for = \"0d\"\n"),
    ("replies per minute", "[pipeline]\nreplies_per_minute = -1\n"),
    ("quota as text", "[quota]\napi_calls = \"many\"\n"),
    ("control socket empty", "[host]\ncontrol_socket = \"\"\n"),
    ("log format", "[log]\nformat = \"jsn\"\n"),
    ("log level number", "[log]\nlevel = 3\n"),
    ("later table", "[connectors.crm]\nprofile = \"xbongbong\"\n"),
];

/// One page of all cases: what is written, and what is said about it.
fn page(cases: &[(&str, &str)], before: &str) -> String {
    let case = |(name, text): &(&str, &str)| {
        format!("## {name}\n\n{}\n\n{}\n", text.trim(), refusal(&format!("{before}{text}")))
    };
    cases.iter().map(case).collect::<Vec<_>>().join("\n")
}

fn snapshot(name: &str, shown: &str) {
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, shown);
    });
}

#[test]
fn refused_files() {
    snapshot("refused_files", &page(FILES, ""));
}

#[test]
fn refused_additions() {
    snapshot("refused_additions", &page(ADDED, GOOD));
}

#[test]
fn no_file() {
    let error = load(Path::new("no-such-belfry.toml")).unwrap_err();
    snapshot("no_file", &error.to_string());
}

#[test]
fn not_utf8() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("belfry.toml");
    std::fs::write(&path, b"[log]\n# \xb0\xa1\n").unwrap();
    let error = load(&path).unwrap_err().to_string();
    snapshot("not_utf8", &error.replace(path.to_str().unwrap(), "belfry.toml"));
}

#[test]
fn a_reference_where_nothing_is_expanded_is_a_warning() {
    let loaded = good(&format!("{GOOD}[plugins.todo]\nconfig = {{ key = \"${{env:SECRET}}\" }}\n"));
    assert_eq!(loaded.config.plugins[0].config["key"], "${env:SECRET}");
    let [warning] = &loaded.warnings[..] else { panic!("{:?}", loaded.warnings) };
    snapshot("not_expanded", &format!("{}\n\n{warning}", warning.display(&loaded.path)));
}

#[test]
fn settings_come_from_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("faq.md"), "# VPN\nAsk IT.\n").unwrap();
    std::fs::write(folder.path().join("picture.png"), [0xff, 0xd8]).unwrap();
    let path = folder.path().join("belfry.toml");
    let with = |lines: &str| parse(&path, &format!("{GOOD}[plugins.faq]\n{lines}\n"), &env);
    let loaded = with("config_files = { answers = \"faq.md\" }\nconfig = { fallback = \"?\" }").unwrap();
    let config = &loaded.config.plugins[0].config;
    assert_eq!(config.get("answers").map(String::as_str), Some("# VPN\nAsk IT.\n"));
    assert_eq!(config.get("fallback").map(String::as_str), Some("?"));
    for (lines, words) in [
        ("config_files = { answers = \"absent.md\" }", "cannot be read"),
        ("config_files = { answers = \".\" }", "is not a file"),
        ("config_files = { answers = \"picture.png\" }", "is not UTF-8 text"),
        (
            "config = { answers = \"a\" }\nconfig_files = { answers = \"faq.md\" }",
            "has the setting `answers` too",
        ),
    ] {
        let refused = with(lines).unwrap_err().to_string();
        assert!(refused.contains(words), "{lines}: {refused}");
    }
}

#[test]
fn a_flood_of_problems_is_bounded() {
    let keys: String = (0..20_000).map(|number| format!("k{number} = 1\n")).collect();
    let long = "x".repeat(10_000);
    let error = refusal(&format!("{long} = 1\n{keys}{GOOD}"));
    assert!(error.starts_with("the config cannot be used, 20001 problems"), "{error}");
    assert!(error.ends_with("\n\nand 19951 more"), "{error}");
    assert!(error.len() < 20_000, "{}", error.len());
}

#[test]
fn a_file_that_is_no_config_is_not_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("belfry.toml");
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("the file is larger than 1 MiB"), "{error}");
}
