//! The outcome of all files.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::Outcome;

/// Prints a line for each file, and what is wrong with those that failed.
pub(super) fn print(outcomes: &[Outcome]) -> ExitCode {
    let mut failed = 0;
    for outcome in outcomes {
        let took = outcome.took.as_millis();
        if outcome.problems.is_empty() {
            println!("ok      {} ({took} ms)", outcome.name);
            continue;
        }
        failed += 1;
        println!("FAILED  {} ({}, {took} ms)", outcome.name, outcome.file.display());
        for problem in &outcome.problems {
            println!("        {}", problem.replace('\n', "\n        "));
        }
        if !outcome.key_values.is_empty() {
            println!("        key-values at the end:");
        }
        for (name, value) in &outcome.key_values {
            println!("          {name} = {}", value.replace('\n', "\n            "));
        }
    }
    println!("\n{} passed, {failed} failed", outcomes.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes the outcome as JUnit XML, which CI systems read.
pub(super) fn junit(path: &Path, plugin: &str, outcomes: &[Outcome], took: Duration) -> anyhow::Result<()> {
    let mut suite = TestSuite::new(plugin);
    for outcome in outcomes {
        let mut status = TestCaseStatus::success();
        if let Some(first) = outcome.problems.first() {
            status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(first.lines().next().unwrap_or_default());
            status.set_description(outcome.problems.join("\n\n"));
        }
        let mut case = TestCase::new(outcome.name.as_str(), status);
        case.set_classname(plugin);
        case.set_time(outcome.took);
        suite.add_test_case(case);
    }
    suite.set_time(took);
    let mut report = Report::new("belfry test");
    report.set_time(took);
    report.add_test_suite(suite);
    let file = std::fs::File::create(path).with_context(|| format!("write {}", path.display()))?;
    report.serialize(file).with_context(|| format!("write {}", path.display()))
}
