//! Where a test works: a data directory, a backup, and a database of its own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use crate::common::{data_dir, database::TestDatabase, program::Program};

pub(crate) const BLOB: &str = "0193b7a0-0000-7000-8000-000000000001.fastresume";

/// A place for one test: a data directory, a backup, and what else there is.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) program: Program,
    pub(crate) external: Option<TestDatabase>,
}

impl Place {
    pub(crate) fn embedded() -> Self {
        let dir = data_dir();
        let program = Program::new(&dir.path().join("data"));
        Self { dir, program, external: None }
    }

    pub(crate) async fn external() -> Self {
        let database = TestDatabase::new("").await;
        let mut place = Self::embedded();
        place.program.database_url = Some(url(&database.options));
        place.external = Some(database);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn backup(&self) -> String {
        self.path("backup.tar").display().to_string()
    }

    pub(crate) fn resume(&self, name: &str) -> PathBuf {
        self.program.data_dir.join("resume").join(name)
    }

    pub(crate) fn write_blob(&self, text: &str) {
        fs::create_dir_all(self.program.data_dir.join("resume")).unwrap();
        fs::write(self.resume(BLOB), text).unwrap();
    }

    /// Of a running server.
    pub(crate) async fn connect(&self) -> PgConnection {
        match &self.external {
            Some(database) => database.connect().await,
            None => {
                let options = revaer_app::postgres::reach_running(&self.program.data_dir).unwrap();
                PgConnection::connect_with(&options).await.unwrap()
            }
        }
    }

    pub(crate) async fn set_name(&self, name: &str) {
        let mut conn = self.connect().await;
        sqlx::query("UPDATE settings_app_profile SET instance_name = $1")
            .bind(name)
            .execute(&mut conn)
            .await
            .unwrap();
        conn.close().await.unwrap();
    }

    pub(crate) async fn text(&self, query: &'static str) -> String {
        let mut conn = self.connect().await;
        let text = sqlx::query_scalar(query).fetch_one(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        text
    }

    pub(crate) async fn name(&self) -> String {
        self.text("SELECT instance_name FROM settings_app_profile").await
    }

    pub(crate) async fn lease(&self) -> i64 {
        self.text("SELECT leased_through::text FROM event_log_state").await.parse().unwrap()
    }

    pub(crate) async fn remove(self) {
        if let Some(database) = self.external {
            database.remove().await;
        }
    }
}

/// As the server takes it; the tests' server is reached by a socket.
fn url(options: &PgConnectOptions) -> String {
    let host = options
        .get_socket()
        .map_or_else(|| options.get_host().to_owned(), |socket| socket.display().to_string());
    format!(
        "postgres://{}@localhost:{}/{}?host={host}",
        options.get_username(),
        options.get_port(),
        options.get_database().unwrap()
    )
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) async fn both(test: impl AsyncFn(Place)) {
    test(Place::embedded()).await;
    test(Place::external().await).await;
}
