//! Disks that are full or cannot be written, and journals that were cut off, changed or made by somebody else.

use std::{
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use belfry_simulator::{Fault, Place};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
};

use crate::{
    seed::Rng,
    world::{Launch, PATIENCE, Plan, World, pause, skip},
};

const CONVERSATIONS: u64 = 6;

/// A small file system in memory that only this test and the processes it starts can see. It lives in a mount namespace,
/// which a user without any rights can make on most Linux systems.
struct Disk {
    _holder: Child,
    before: Vec<String>,
}

impl Disk {
    /// Mounts one on `folder`; the reason if that is not possible here.
    async fn mount(folder: &Path, options: &str) -> Result<Self, String> {
        if !cfg!(target_os = "linux") {
            return Err("a disk of its own is made in a way that only Linux has".into());
        }
        let mut reasons = Vec::new();
        // As an ordinary user in a user namespace of one's own, or as root without one.
        for user in [true, false] {
            match Self::try_mount(folder, options, user).await {
                Ok(disk) => return Ok(disk),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(format!("no tmpfs can be mounted: {}", reasons.join("; ")))
    }

    async fn try_mount(folder: &Path, options: &str, user: bool) -> Result<Self, String> {
        let script = "mount -t tmpfs -o \"$1\" tmpfs \"$2\" && echo ready && exec sleep 100000";
        let mut holder = Command::new("unshare")
            .args(if user { ["--user", "--map-root-user", "--mount"].as_slice() } else { &["--mount"] })
            .args(["sh", "-c", script, "sh", options])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("unshare cannot be started: {error}"))?;
        let mut ready = [0; 6];
        let mut stdout = holder.stdout.take().unwrap();
        stdout.read_exact(&mut ready).await.map_err(|_| format!("unshare and mount failed, user: {user}"))?;
        let pid = holder.id().unwrap().to_string();
        let mut before = vec!["nsenter".to_owned(), "--target".into(), pid, "--mount".into()];
        if user {
            before.extend(["--user".into(), "--preserve-credentials".into()]);
        }
        Ok(Self { _holder: holder, before })
    }

    /// How a program is started that is to see it.
    fn launch(&self) -> Launch {
        Launch { before: self.before.clone(), ..Launch::default() }
    }

    /// Runs a line of shell that sees it, in `folder`.
    async fn shell(&self, folder: &Path, line: &str) -> Output {
        let mut command = Command::new(&self.before[0]);
        command.args(&self.before[1..]).args(["sh", "-c", "cd \"$1\" && eval \"$2\"", "sh"]);
        command.arg(folder).arg(line).output().await.unwrap()
    }
}

#[tokio::test]
async fn a_full_disk_loses_nothing() {
    const NAME: &str = "a_full_disk_loses_nothing";
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let disk = match Disk::mount(&small, "size=12m").await {
        Ok(disk) => disk,
        Err(reason) => return skip(NAME, &reason),
    };
    let plan = Plan {
        launch: disk.launch(),
        ..Plan::new(NAME).tables("[journal]\npath = \"{folder}/small/journal\"\n")
    };
    let mut world = plan.start_in(folder).await;
    for _ in 0..30 {
        world.say(CONVERSATIONS);
    }
    world.settled().await;

    // Until nothing more is taken. What is acknowledged meanwhile must have found its place.
    disk.shell(&small, "head -c 100m /dev/zero > ballast").await;
    while !world.log().contains("cannot be stored") {
        for _ in 0..20 {
            world.say(CONVERSATIONS);
        }
        pause(&mut world.rng, Duration::from_millis(100)).await;
        world.read();
    }
    // Once while it runs, once over a kill.
    disk.shell(&small, "rm ballast").await;
    world.settled().await;
    disk.shell(&small, "head -c 100m /dev/zero > ballast").await;
    for _ in 0..100 {
        world.say(CONVERSATIONS);
    }
    pause(&mut world.rng, Duration::from_millis(300)).await;
    world.kill_and_restart().await;
    pause(&mut world.rng, Duration::from_secs(2)).await;
    let ended = world.child.as_mut().unwrap().try_wait().unwrap();
    if let Some(status) = ended {
        // It may refuse to start, but then it says why.
        let log = world.log();
        assert!(!status.success() && log.contains("full"), "{status}\n{log}");
    }
    disk.shell(&small, "rm ballast").await;
    if ended.is_some() {
        world.launch();
    }
    world.connected().await;
    world.finish(CONVERSATIONS).await;
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_is_refused_with_words() {
    const NAME: &str = "a_disk_that_cannot_be_written_is_refused_with_words";
    let folder = tempfile::tempdir().unwrap();
    let fixed = folder.path().join("fixed");
    std::fs::create_dir(&fixed).unwrap();
    let disk = match Disk::mount(&fixed, "size=1m,ro").await {
        Ok(disk) => disk,
        Err(reason) => return skip(NAME, &reason),
    };
    let mut world = Plan { robots: 1, ..Plan::new(NAME) }.start_in(folder).await;
    world.say(CONVERSATIONS);
    world.settled().await;
    world.terminate().await;

    let config = world.path("belfry.toml");
    let good = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{good}[journal]\npath = \"fixed/journal\"\n")).unwrap();
    world.launch = disk.launch();
    let text = refused(&world).await;
    assert!(text.contains("fixed/journal") && text.contains("ead-only"), "{text}");

    std::fs::write(&config, good).unwrap();
    world.launch = Launch::default();
    world.launch();
    world.finish(CONVERSATIONS).await;
}

/// Starts the program, which is to end with code 1. Returns what it says.
async fn refused(world: &World) -> String {
    let output = world
        .command()
        .args(["run", "--config"])
        .arg(world.path("belfry.toml"))
        .stdin(Stdio::null())
        .output();
    let output = tokio::time::timeout(PATIENCE, output).await.expect("it ends").unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

#[tokio::test]
async fn what_is_no_journal_of_ours_is_left_alone() {
    let mut world = Plan::new("what_is_no_journal_of_ours_is_left_alone").start().await;
    for _ in 0..10 {
        world.say(CONVERSATIONS);
    }
    world.settled().await;
    // A polite end moves everything into the one file.
    world.terminate().await;

    let journal = world.path("belfry.journal");
    let store = journal.join("journal.sqlite");
    let good = std::fs::read(&store).unwrap();
    // Where SQLite keeps `user_version`: the format.
    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&1_000u32.to_be_bytes());
    // And `application_id`: whose file it is.
    let mut foreign = good.clone();
    foreign[68..72].copy_from_slice(b"GPKG");
    for (bytes, word) in [(newer, "1000"), (foreign, "not a Belfry journal")] {
        std::fs::write(&store, &bytes).unwrap();
        let text = refused(&world).await;
        assert!(text.contains("belfry.journal") && text.contains(word), "{text}");
        assert_eq!(std::fs::read(&store).unwrap(), bytes, "it was changed");
    }

    std::fs::write(&store, &good).unwrap();
    let aside = world.path("aside");
    std::fs::rename(&journal, &aside).unwrap();
    std::fs::write(&journal, "a file in place of the folder").unwrap();
    let text = refused(&world).await;
    assert!(text.contains("belfry.journal"), "{text}");
    std::fs::remove_file(&journal).unwrap();
    std::fs::rename(&aside, &journal).unwrap();

    // It still knows what it answered.
    world.launch();
    for _ in 0..20 {
        world.say_again();
    }
    world.finish(CONVERSATIONS).await;
}

#[tokio::test]
async fn a_second_host_on_one_journal_changes_nothing() {
    let mut world = Plan::new("a_second_host_on_one_journal_changes_nothing").start().await;
    for round in 0..3 {
        for _ in 0..20 {
            world.say(CONVERSATIONS);
        }
        let text = refused(&world).await;
        let pid = world.child.as_ref().unwrap().id().unwrap().to_string();
        assert!(text.contains("belfry.journal") && text.contains(&pid), "{text}");
        if round == 1 {
            world.kill_and_restart().await;
            world.connected().await;
        }
    }
    world.finish(CONVERSATIONS).await;
}

/// Does something to one of the journal's files that disks do. Returns what.
fn damage(journal: &Path, rng: &mut Rng) -> String {
    let mut files: Vec<PathBuf> = std::fs::read_dir(journal)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("journal.sqlite") || name == "mark"
        })
        .filter(|path| path.metadata().unwrap().len() > 0)
        .collect();
    files.sort();
    let path = rng.pick(&files);
    let length = path.metadata().unwrap().len();
    let mut file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy();
    if rng.chance(0.4) {
        let length = rng.below(length);
        file.set_len(length).unwrap();
        return format!("{name} is cut off at {length}");
    }
    let flips = 1 + rng.below(5);
    let mut places = Vec::new();
    for _ in 0..flips {
        let at = rng.below(length);
        let mut byte = [0];
        file.seek(SeekFrom::Start(at)).unwrap();
        file.read_exact(&mut byte).unwrap();
        byte[0] ^= 1 << rng.below(8);
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&byte).unwrap();
        places.push(at);
    }
    format!("bits of {name} ({length} bytes) are flipped at {places:?}")
}

/// After a kill the journal's files are damaged. Then either nothing is missing, or it is said, the damaged files are
/// kept, and the bot goes on with what could be read.
#[tokio::test]
async fn a_damaged_journal_is_never_passed_over() {
    let mut world = Plan::new("a_damaged_journal_is_never_passed_over").start().await;
    let (mut told, mut refusals) = (0, 0);
    for round in 0..12 {
        // Some are answered, some are on their way, some wait behind them.
        world.fault(Fault::slow(Place::Webhook, Duration::from_millis(150)).obeyed_first());
        let acked = world.checker.acked();
        for _ in 0..20 {
            world.say(CONVERSATIONS);
        }
        world.until("acknowledgements", |world| world.checker.acked() >= acked + 30).await;
        pause(&mut world.rng, Duration::from_millis(300)).await;
        world.kill().await;
        world.simulator.clear_faults(None);

        let journal = world.path("belfry.journal");
        let done = damage(&journal, &mut world.rng);
        let seen = world.log().len();
        world.launch();
        let verdict = |world: &World| {
            let log = world.log();
            let news = log.get(seen..).unwrap_or_default();
            let refused = ["not a Belfry journal", "has format"].iter().any(|words| news.contains(words));
            (refused, news.contains("the journal was damaged"), news.contains("running; Ctrl-C stops"))
        };
        world
            .until(&format!("a word after {done}"), |world| {
                let (refused, _, running) = verdict(world);
                refused || running
            })
            .await;
        let (refused, damaged, _) = verdict(&world);
        eprintln!("{round}: {done}: refused {refused}, told {damaged}");
        if refused || damaged {
            let open = world.checker.damaged();
            eprintln!("   {open} may be missing");
        }
        if refused {
            // The header was hit, so that it looks like somebody else's: the operator moves it away.
            refusals += 1;
            world.child.take().unwrap().wait().await.unwrap();
            std::fs::rename(&journal, world.path(&format!("refused-{round}"))).unwrap();
            world.launch();
        } else if damaged {
            told += 1;
            let kept = std::fs::read_dir(&journal).unwrap().filter(|entry| {
                entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("damaged-")
            });
            assert!(kept.count() >= 1, "the damaged files are kept");
        }
        world.connected().await;
        world.settled().await;
    }
    eprintln!("told {told}, refused {refusals} of 12");
    world.finish(CONVERSATIONS).await;
}
