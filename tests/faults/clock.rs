//! A clock that jumps.
//!
//! The program asks the C library for the time, so a library loaded before it can say another one. It is a few lines of C,
//! built when the test runs; where there is no C compiler the test is skipped. (Belfry's own build needs one.)

use std::{
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use belfry_simulator::{Fault, Place};

use crate::world::{Launch, Plan, pause, skip};

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static volatile const long long *ahead;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("BELFRY_FAULT_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *at = mmap(0, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    if (at != MAP_FAILED) ahead = at;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    if (result == 0 && ahead && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += *ahead;
    return result;
}
"#;

const CONVERSATIONS: u64 = 6;

/// Builds the library; the reason if that is not possible here.
fn library(folder: &Path) -> Result<PathBuf, String> {
    if !cfg!(target_os = "linux") {
        return Err("the clock is changed in a way that only Linux has".into());
    }
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    std::fs::write(&source, SOURCE).map_err(|error| error.to_string())?;
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .output();
    match built {
        Ok(output) if output.status.success() => Ok(library),
        Ok(output) => Err(format!("cc failed: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("cc cannot be started: {error}")),
    }
}

#[tokio::test]
async fn a_clock_that_jumps_loses_nothing() {
    const NAME: &str = "a_clock_that_jumps_loses_nothing";
    let folder = tempfile::tempdir().unwrap();
    let library = match library(folder.path()) {
        Ok(library) => library,
        Err(reason) => return skip(NAME, &reason),
    };
    let clock = folder.path().join("clock");
    std::fs::write(&clock, [0; 8]).unwrap();
    // In place: the file is mapped, and must not shrink for a moment.
    let file = std::fs::File::options().write(true).open(&clock).unwrap();
    let set = |seconds: i64| file.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    let plan = Plan {
        launch: Launch {
            variables: vec![("LD_PRELOAD".into(), library), ("BELFRY_FAULT_CLOCK".into(), clock.clone())],
            ..Launch::default()
        },
        ..Plan::new(NAME).tables("deliver_within = \"24h\"\n")
    };
    let mut world = plan.start().await;
    world.fault(Fault::slow(Place::Webhook, Duration::from_millis(20)));
    for round in 0..12 {
        // An hour ahead is within a webhook's life; two behind are before the message was said.
        set(*world.rng.pick(&[-7_200, -600, -1, 0, 10, 600, 3_600]));
        for _ in 0..8 {
            world.say(CONVERSATIONS);
        }
        if round % 3 == 2 {
            pause(&mut world.rng, Duration::from_millis(100)).await;
            world.kill_and_restart().await;
        }
        pause(&mut world.rng, Duration::from_millis(300)).await;
    }
    world.finish(CONVERSATIONS).await;
}
