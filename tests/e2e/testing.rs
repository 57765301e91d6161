//! `belfry test`.

use std::{path::Path, process::Output, process::Stdio};

use crate::bot::{belfry, echo};

async fn test(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = belfry();
    command.arg("test").arg(folder).args(arguments);
    command.stdin(Stdio::null()).output().await.unwrap()
}

fn out(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    format!("{}{errors}", String::from_utf8_lossy(&output.stdout))
}

fn conversation(folder: &Path, name: &str, text: &str) {
    std::fs::create_dir_all(folder.join("tests")).unwrap();
    std::fs::write(folder.join("tests").join(name), text).unwrap();
}

/// Built and tested as their authors would, one after the other: they share a target directory.
#[tokio::test]
async fn every_ready_plugin_holds_its_conversations() {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins");
    let mut folders: Vec<_> =
        std::fs::read_dir(plugins).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| {
        let mut tests = std::fs::read_dir(folder.join("tests")).into_iter().flatten();
        tests.any(|file| file.unwrap().path().extension().is_some_and(|extension| extension == "toml"))
    });
    folders.sort();
    assert!(folders.iter().any(|folder| folder.ends_with("echo")), "{folders:?}");
    for folder in folders {
        let passed = test(&folder, &[]).await;
        assert!(passed.status.success(), "{}: {}", folder.display(), out(&passed));
        assert!(out(&passed).contains(" passed, 0 failed"), "{}", out(&passed));
    }
}

#[tokio::test]
async fn a_wrong_expectation_shows_both_sides_and_reaches_junit() {
    let component = echo().await;
    let folder = tempfile::tempdir().unwrap();
    let right =
        "[[turn]]\ngiven.message = \"a\"\nexpect.replies = [{ contains = \"a\" }]\nexpect.pass = false\n";
    conversation(folder.path(), "right.toml", right);
    let wrong = "name = \"it shouts\"\n[[turn]]\ngiven.message = \"a\"\nexpect.replies = [\"A\"]\n";
    conversation(folder.path(), "wrong.toml", wrong);
    conversation(folder.path(), "broken.toml", "[[turn]]\ngiven.massage = \"a\"\n");
    let junit = folder.path().join("junit.xml");
    let arguments = ["--plugin", component.to_str().unwrap(), "--junit", junit.to_str().unwrap()];
    let failed = test(folder.path(), &arguments).await;
    assert_eq!(failed.status.code(), Some(1), "{}", out(&failed));
    let text = out(&failed);
    assert!(text.contains("-A") && text.contains("+a") && text.contains("1 passed, 2 failed"), "{text}");
    assert!(text.contains("unknown field `massage`") && text.contains("broken.toml"), "{text}");
    let report = std::fs::read_to_string(&junit).unwrap();
    assert!(report.contains("tests=\"3\"") && report.contains("failures=\"2\""), "{report}");
    assert!(report.contains("it shouts"), "{report}");
}

#[tokio::test]
async fn what_is_not_expected_is_compared_with_what_was_accepted() {
    let component = echo().await;
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--plugin", component.to_str().unwrap()];
    conversation(folder.path(), "talk.toml", "[[turn]]\ngiven.message = \"hello\"\n");
    let first = test(folder.path(), &arguments).await;
    assert!(!first.status.success() && out(&first).contains("a new snapshot"), "{}", out(&first));

    let accepted = test(folder.path(), &[arguments.as_slice(), &["--accept"]].concat()).await;
    assert!(accepted.status.success(), "{}", out(&accepted));
    let snapshot = std::fs::read_to_string(folder.path().join("tests/talk.snap")).unwrap();
    assert_eq!(snapshot, "alex: hello\n  bot: hello\n");
    assert!(test(folder.path(), &arguments).await.status.success());

    conversation(folder.path(), "talk.toml", "[[turn]]\ngiven.message = \"good bye\"\n");
    let other = test(folder.path(), &arguments).await;
    assert!(!other.status.success() && out(&other).contains("+  bot: good bye"), "{}", out(&other));
}

#[tokio::test]
async fn no_tests_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let none = test(folder.path(), &[]).await;
    assert_eq!(none.status.code(), Some(1));
    assert!(out(&none).contains("put a conversation there"), "{}", out(&none));
}
