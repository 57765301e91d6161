//! Work in order by key: what has one key runs one after the other, what has different keys at the same time.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    ops::ControlFlow,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::task::TaskTracker;
use tracing::error;

/// What is done with one item. `Break`: it is left to the next process, and so is all that is behind it.
type Run<T> = Box<dyn Fn(T) -> Pin<Box<dyn Future<Output = ControlFlow<()>> + Send>> + Send + Sync>;

/// Lanes of items of kind `T`. A lane exists as long as it has work; its items are bounded by whoever pushes them
/// (the journal, which counts everything unfinished).
pub(crate) struct Lanes<T> {
    waiting: Mutex<HashMap<Arc<str>, Waiting<T>>>,
    run: Run<T>,
    tasks: TaskTracker,
}

/// What waits in a lane behind the item that runs.
enum Waiting<T> {
    Items(VecDeque<T>),
    /// Nothing any more: all of it is left to the next process.
    Left,
}

impl<T: Send + 'static> Lanes<T> {
    pub(crate) fn new<F>(tasks: TaskTracker, run: impl Fn(T) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = ControlFlow<()>> + Send + 'static,
    {
        Arc::new(Self { waiting: Mutex::default(), run: Box::new(move |item| Box::pin(run(item))), tasks })
    }

    /// Puts an item behind the others of its key.
    pub(crate) fn push(self: &Arc<Self>, key: Arc<str>, item: T) {
        let mut waiting = self.waiting();
        match waiting.get_mut(&key) {
            Some(Waiting::Items(lane)) => lane.push_back(item),
            Some(Waiting::Left) => {}
            None => {
                waiting.insert(key.clone(), Waiting::Items(VecDeque::from([item])));
                drop(waiting);
                self.start(key);
            }
        }
    }

    fn start(self: &Arc<Self>, key: Arc<str>) {
        let lane = Lane { lanes: self.clone(), key, finished: false };
        self.tasks.spawn(lane.work_off());
    }

    /// The next item of a lane; a lane without one ends here, under the same lock that `push` takes.
    fn next(&self, key: &Arc<str>) -> Option<T> {
        let mut waiting = self.waiting();
        let item = match waiting.get_mut(key) {
            Some(Waiting::Items(lane)) => lane.pop_front(),
            _ => None,
        };
        if item.is_none() {
            waiting.remove(key);
        }
        item
    }

    /// Nothing of this lane is done any more, so that nothing overtakes what was left.
    fn leave(&self, key: &Arc<str>) {
        self.waiting().insert(key.clone(), Waiting::Left);
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Arc<str>, Waiting<T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of one lane. If an item takes the task down with it, the next items go on in a new one.
struct Lane<T: Send + 'static> {
    lanes: Arc<Lanes<T>>,
    key: Arc<str>,
    finished: bool,
}

impl<T: Send + 'static> Lane<T> {
    async fn work_off(mut self) {
        while let Some(item) = self.lanes.next(&self.key) {
            if (self.lanes.run)(item).await.is_break() {
                self.lanes.leave(&self.key);
                break;
            }
        }
        self.finished = true;
    }
}

impl<T: Send + 'static> Drop for Lane<T> {
    fn drop(&mut self) {
        if !self.finished && std::thread::panicking() {
            error!(lane = %self.key, "a task stopped on a bug of Belfry; its lane goes on with the next item");
            self.lanes.start(self.key.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::{Semaphore, mpsc};

    use super::*;

    async fn finish(tasks: TaskTracker) {
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn one_key_keeps_its_order_and_never_overlaps() {
        let tasks = TaskTracker::new();
        let (sender, mut seen) = mpsc::unbounded_channel();
        let running = Arc::new(AtomicUsize::new(0));
        let lanes = Lanes::new(tasks.clone(), move |n: usize| {
            let (sender, running) = (sender.clone(), running.clone());
            async move {
                assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                sender.send(n).unwrap();
                ControlFlow::Continue(())
            }
        });
        for n in 0..100 {
            lanes.push("a".into(), n);
        }
        finish(tasks).await;
        let order: Vec<usize> = std::iter::from_fn(|| seen.try_recv().ok()).collect();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
        assert!(lanes.waiting().is_empty());
    }

    #[tokio::test]
    async fn a_slow_key_holds_up_no_other() {
        let tasks = TaskTracker::new();
        let gate = Arc::new(Semaphore::new(0));
        let (sender, mut seen) = mpsc::unbounded_channel();
        let inner = gate.clone();
        let lanes = Lanes::new(tasks.clone(), move |name: &'static str| {
            let (gate, sender) = (inner.clone(), sender.clone());
            async move {
                if name == "slow" {
                    let _ = gate.acquire().await;
                }
                sender.send(name).unwrap();
                ControlFlow::Continue(())
            }
        });
        lanes.push("a".into(), "slow");
        lanes.push("b".into(), "fast");
        assert_eq!(seen.recv().await, Some("fast"));
        gate.add_permits(1);
        assert_eq!(seen.recv().await, Some("slow"));
        finish(tasks).await;
    }

    #[tokio::test]
    async fn a_panic_costs_one_item() {
        let tasks = TaskTracker::new();
        let (sender, mut seen) = mpsc::unbounded_channel();
        let lanes = Lanes::new(tasks.clone(), move |n: usize| {
            let sender = sender.clone();
            async move {
                assert_ne!(n, 1, "one item fails");
                sender.send(n).unwrap();
                ControlFlow::Continue(())
            }
        });
        for n in 0..3 {
            lanes.push("a".into(), n);
        }
        assert_eq!(seen.recv().await, Some(0));
        assert_eq!(seen.recv().await, Some(2));
        finish(tasks).await;
    }

    #[tokio::test]
    async fn nothing_overtakes_what_is_left_behind() {
        let tasks = TaskTracker::new();
        let (sender, mut seen) = mpsc::unbounded_channel();
        let lanes = Lanes::new(tasks.clone(), move |(key, n): (&'static str, usize)| {
            let sender = sender.clone();
            async move {
                sender.send((key, n)).unwrap();
                if (key, n) == ("a", 1) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
        });
        for n in 0..3 {
            lanes.push("a".into(), ("a", n));
            lanes.push("b".into(), ("b", n));
        }
        finish(tasks.clone()).await;
        lanes.push("a".into(), ("a", 3));
        tasks.wait().await;
        let seen: Vec<_> = std::iter::from_fn(|| seen.try_recv().ok()).collect();
        let of = |key| seen.iter().filter(|(k, _)| *k == key).map(|(_, n)| *n).collect::<Vec<_>>();
        assert_eq!((of("a"), of("b")), (vec![0, 1], vec![0, 1, 2]));
    }
}
