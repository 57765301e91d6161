use clap::CommandFactory as _;

use super::*;

/// The help of `path` and of every command below it, on one page.
fn help(command: &mut clap::Command, path: &str, page: &mut String) {
    let long = command.clone().bin_name(path).render_long_help().to_string();
    page.push_str(&format!("$ {path} --help\n\n{long}\n\n"));
    let below: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in below.iter().filter(|name| *name != "help") {
        if let Some(command) = command.find_subcommand_mut(name) {
            help(command, &format!("{path} {name}"), page);
        }
    }
}

fn snapshot(name: &str, shown: &str) {
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, shown);
    });
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn help_of_every_command() {
    let mut page = String::new();
    let mut command = Cli::command();
    command.build();
    help(&mut command, "belfry", &mut page);
    let tidy: Vec<&str> = page.lines().map(str::trim_end).collect();
    snapshot("help", &tidy.join("\n"));
}

#[test]
fn wrong_command_lines() {
    let cases: &[&[&str]] = &[
        &["runn"],
        &["run", "--conf", "x"],
        &["dev", "plugins/echo", "--timeout", "30"],
        &["simulate", "--port", "70000"],
        &["channel", "doctor"],
        &["channel", "doctor", "telegram"],
        &["config", "check", "--log-format", "xml"],
        &["completions", "cmd"],
    ];
    let page: Vec<String> = cases
        .iter()
        .map(|case| {
            let error = Cli::try_parse_from([&["belfry"], *case].concat()).unwrap_err();
            assert_eq!(error.exit_code(), i32::from(USAGE));
            format!("$ belfry {}\n\n{error}", case.join(" "))
        })
        .collect();
    snapshot("wrong_command_lines", &page.join("\n"));
}

#[test]
fn the_command_line_wins_over_the_log_table() {
    let cli = Cli::parse_from(["belfry", "-v", "--log-format", "json", "config", "schema"]);
    assert_eq!(cli.global.log(Log::default()), Log { format: LogFormat::Json, level: LogLevel::Debug });
    let trace = Log { format: LogFormat::Json, level: LogLevel::Trace };
    assert_eq!(Global { log_format: None, verbose: 1 }.log(trace), trace, "-v never logs less");
}

#[test]
fn causes_are_shown_once() {
    let cause =
        anyhow::anyhow!("connection refused").context("open x: connection refused").context("check x");
    assert_eq!(Shown(&cause).to_string(), "error: failed to check x\n  because: open x: connection refused");
}
