//! Running a build and telling how it goes, for every command that builds.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use belfry_toolchain::{BuildError, Built, Options, Progress};

/// Where a build tells how it goes.
pub(crate) trait Teller {
    /// A remark of the program itself.
    fn note(&self, text: &str);
    /// A line of another program, as it is.
    fn line(&self, text: &str);
    /// What goes on just now, on a line that is replaced; none takes it away.
    fn busy(&self, text: Option<&str>);
}

/// Builds the project in `dir`; dropped before its end, the compiler stops.
///
/// # Errors
/// As [`belfry_toolchain::build`].
pub(crate) async fn build(
    dir: &Path,
    target_dir: Option<PathBuf>,
    teller: &(impl Teller + ?Sized),
) -> Result<Built, BuildError> {
    let shown = dir.display();
    let started = Instant::now();
    // From one task only: what is said and the seconds cannot be mixed up.
    let (sender, mut said) = tokio::sync::mpsc::unbounded_channel();
    let mut progress = |progress: Progress<'_>| {
        let _ = sender.send(match progress {
            Progress::Step(step) => (true, step.to_owned()),
            Progress::Output(line) => (false, line.to_owned()),
            _ => return,
        });
    };
    let options = Options { target_dir, ..Options::default() };
    let mut build = std::pin::pin!(belfry_toolchain::build_with(dir, &options, &mut progress));
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    teller.note(&format!("building {shown}"));
    let tell = |(own, text): (bool, String)| if own { teller.note(&text) } else { teller.line(&text) };
    let built = loop {
        tokio::select! {
            biased;
            Some(text) = said.recv() => tell(text),
            _ = ticks.tick() => {
                teller.busy(Some(&format!("building {shown}, {} s", started.elapsed().as_secs())));
            }
            built = &mut build => break built,
        }
    };
    teller.busy(None);
    while let Ok(text) = said.try_recv() {
        tell(text);
    }
    let built = built?;
    teller.note(&format!("built {} in {:.1} s", built.name, started.elapsed().as_secs_f32()));
    Ok(built)
}

/// Writes under another name in the same folder, then renames: nobody ever sees half a file.
///
/// # Errors
/// When the folder cannot be written to.
pub(crate) fn put_in_place(bytes: &[u8], place: &Path) -> Result<()> {
    let what = || format!("write {}", place.display());
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".belfry-").suffix(".new");
    // A temporary file is the user's alone; this becomes what a file there is, or any new file.
    let before = std::fs::metadata(place).ok().map(|file| file.permissions());
    #[cfg(unix)]
    let before = before.or_else(|| Some(std::os::unix::fs::PermissionsExt::from_mode(0o666)));
    if let Some(before) = before {
        builder.permissions(before);
    }
    let mut file = builder.tempfile_in(folder).with_context(what)?;
    std::io::Write::write_all(&mut file, bytes).with_context(what)?;
    file.as_file().sync_all().with_context(what)?;
    file.persist(place).with_context(what)?;
    Ok(())
}
