//! The SQLite backend does what every backend must.

use futures_util::future::BoxFuture;
use slated_store::conformance::{Place, run};
use slated_store::{Options, Result, Sqlite, Store};
use tempfile::TempDir;

struct Folder(TempDir);

impl Place for Folder {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Store>>> {
        Box::pin(async {
            let store = Sqlite::open(self.0.path(), &Options::default())?;
            Ok(Box::new(store) as Box<dyn Store>)
        })
    }
    fn seize(&self) -> BoxFuture<'_, Result<Box<dyn Store>>> {
        Box::pin(async {
            // Whoever deletes the lock file of a running slated gets what the epoch is for.
            let gone = std::fs::remove_file(self.0.path().join("lock"));
            assert!(gone.is_ok(), "{gone:?}");
            self.open().await
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_conforms() {
    let checks = run(|| Folder(tempfile::tempdir().unwrap())).await.unwrap();
    assert!(checks >= 20);
}

#[tokio::test]
async fn sqlite_conforms_on_one_thread() {
    run(|| Folder(tempfile::tempdir().unwrap())).await.unwrap();
}
