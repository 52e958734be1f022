//! The file by which other commands find the running `muster dev`.
//!
//! The last stack that starts writes the file. A stack removes its own file at its end, and leaves
//! that of a later one. A stack that was killed leaves its file, so [`find`] returns a stack only
//! if it responds with the identity in the file.

use std::{
    env,
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use etcetera::{BaseStrategy, choose_base_strategy};
use reqwest::redirect;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use tempfile::NamedTempFile;
use url::Url;

use crate::local::{DemoKeys, LocalStack, ProcessIdentity, StackDescription};

/// The name of the file.
const FILE: &str = "dev.json";

/// Timeout of the request to `/health`. A stack in a debug build on a busy machine is slow.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum size of the file in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// The contents of the file.
#[derive(Serialize)]
struct Published<'s> {
    #[serde(flatten)]
    process: ProcessIdentity,
    stack: StackDescription<'s>,
}

/// The contents of the file, as other commands read it.
#[derive(Deserialize)]
struct Found {
    #[serde(flatten)]
    process: ProcessIdentity,
    stack: RunningStack,
}

/// The addresses and the organizations of a running stack. The fields are those of
/// `muster dev --json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RunningStack {
    /// The address of the API.
    #[serde(deserialize_with = "address")]
    pub url: Url,
    /// The endpoint of DynamoDB.
    #[serde(deserialize_with = "address")]
    pub dynamodb_url: Url,
    /// The endpoint of SQS, EventBridge and S3.
    pub aws_url: String,
    /// The URL of the ticket queue.
    pub tickets_queue_url: String,
    /// The URL of the user queue.
    pub users_queue_url: String,
    /// The URL of the queue of urgent jobs.
    pub jobs_queue_url: String,
    /// The URL of the queue of long jobs.
    pub long_jobs_queue_url: String,
    /// The table's name.
    pub table: String,
    /// The empty organization.
    #[serde(flatten)]
    empty: Organization,
    /// The organization with demo data, unless the stack was started without it.
    demo: Option<Organization>,
    /// The process id.
    #[serde(skip)]
    pub pid: u32,
}

fn address<'de, D: Deserializer<'de>>(text: D) -> Result<Url, D::Error> {
    Url::parse(&String::deserialize(text)?).map_err(D::Error::custom)
}

/// An organization of a running stack.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Organization {
    /// Its id.
    pub organization_id: String,
    /// Its keys.
    pub keys: DemoKeys,
    /// Its users.
    pub users: Vec<User>,
}

/// A user of an organization of a running stack.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct User {
    /// The bare UUID.
    pub id: String,
}

impl RunningStack {
    /// Returns the organization that the greeting of `muster dev` shows.
    #[must_use]
    pub fn greeted(&self) -> &Organization {
        self.demo.as_ref().unwrap_or(&self.empty)
    }
}

/// The file of a running stack. It is removed when this is dropped, unless a later stack replaced
/// it.
#[derive(Debug)]
pub struct RuntimeFile {
    path: PathBuf,
    process: ProcessIdentity,
}

impl RuntimeFile {
    /// Writes the file of a stack. It has keys in plain text, so only its owner may read it.
    ///
    /// # Errors
    /// There is no folder for it, or the folder cannot be written.
    pub fn write(stack: &LocalStack) -> anyhow::Result<Self> {
        let folder =
            folder().context("there is no home directory: name a folder in MUSTER_RUNTIME_DIR")?;
        let published = Published {
            process: stack.process,
            stack: stack.describe(),
        };
        write(&folder, &published).with_context(|| format!("cannot write {}", folder.display()))?;
        Ok(Self {
            path: folder.join(FILE),
            process: stack.process,
        })
    }
}

impl Drop for RuntimeFile {
    fn drop(&mut self) {
        let Self { path, process } = self;
        if read(path).is_ok_and(|found| found.process == *process) {
            // A file that remains is ignored, because no stack responds with its identity.
            let _ = fs::remove_file(path);
        }
    }
}

/// Returns the running stack, if the file is there and the stack responds with the identity in it.
///
/// Sends one request to an address of this machine.
pub async fn find() -> Option<RunningStack> {
    let path = folder()?.join(FILE);
    let Found { process, stack } = match read(&path) {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!("{} is ignored: {error:#}", path.display());
            return None;
        }
    };
    match identity(&stack.url).await {
        Ok(identity) if identity == process.to_string() => Some(RunningStack {
            pid: process.pid,
            ..stack
        }),
        Ok(other) => {
            tracing::debug!("{} is ignored: {other:?} responds", path.display());
            None
        }
        Err(error) => {
            tracing::debug!("{} is ignored: {error:#}", path.display());
            None
        }
    }
}

/// Returns the folder of the file: of `MUSTER_RUNTIME_DIR`, or else in the user's runtime
/// directory, or else in the user's cache directory, because not all systems have the former.
fn folder() -> Option<PathBuf> {
    let named = env::var_os("MUSTER_RUNTIME_DIR").filter(|folder| !folder.is_empty());
    if let Some(folder) = named {
        return Some(folder.into());
    }
    let user = choose_base_strategy().ok()?;
    let parent = user.runtime_dir().unwrap_or_else(|| user.cache_dir());
    Some(parent.join("muster"))
}

/// Writes the file atomically.
fn write(folder: &Path, content: &impl Serialize) -> io::Result<()> {
    create_private(folder)?;
    // A temporary file has mode 600.
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec_pretty(content)?)?;
    file.persist(folder.join(FILE))?;
    Ok(())
}

/// Creates a folder that only its owner may list, unless it exists.
fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Reads the file.
///
/// # Errors
/// It does not exist, has another form, or other users may read or write it.
fn read(path: &Path) -> anyhow::Result<Found> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("there is no such file"),
        Err(error) => return Err(error.into()),
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        let mode = file.metadata()?.permissions().mode();
        let of_others = mode & 0o077;
        anyhow::ensure!(of_others == 0, "other users have access to it");
    }
    let mut content = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut content)?;
    Ok(serde_json::from_slice(&content)?)
}

/// Returns the identity with which the server at an address responds to `/health`.
async fn identity(url: &Url) -> anyhow::Result<String> {
    // `HTTP_PROXY` must not apply to addresses of this machine.
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .timeout(HEALTH_TIMEOUT)
        .build()?;
    let response = client.get(url.join("/health")?).send().await?;
    let identity = response
        .headers()
        .get(ProcessIdentity::HEADER)
        .context("the server is no local stack")?;
    Ok(identity.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn description() -> Value {
        let contract = json!({ "admin": "a", "read_only": "r" });
        let keys = json!({ "toptickets": contract, "itsm": contract });
        json!({
            "pid": 7, "started_at": 1000,
            "stack": {
                "url": "http://127.0.0.1:3000", "dynamodb_url": "http://127.0.0.1:3001",
                "aws_url": "http://127.0.0.1:3002", "table": "muster",
                "tickets_queue_url": "t", "users_queue_url": "u", "jobs_queue_url": "j", "long_jobs_queue_url": "l",
                "organization_id": "org_demo", "keys": keys, "users": [],
                "other_organization": {},
            },
        })
    }

    #[test]
    fn greeted_organization_is_that_with_demo_data() {
        let mut description = description();
        let greeted = |description: &Value| {
            let Found { stack, .. } = serde_json::from_value(description.clone()).unwrap();
            stack.greeted().organization_id.clone()
        };
        assert_eq!(greeted(&description), "org_demo");
        description["stack"]["demo"] = json!({
            "organization_id": "org_9f8e7d6c5b4a", "keys": description["stack"]["keys"],
            "users": [{ "id": "u", "name": "A" }], "teams": [], "tickets": [],
        });
        assert_eq!(greeted(&description), "org_9f8e7d6c5b4a");
    }

    #[test]
    fn stack_leaves_the_file_of_a_later_stack() {
        let folder = tempfile::tempdir().unwrap();
        let file = |started_at| RuntimeFile {
            path: folder.path().join(FILE),
            process: ProcessIdentity { pid: 7, started_at },
        };
        write(folder.path(), &description()).unwrap();
        drop(file(999));
        assert!(folder.path().join(FILE).exists());
        drop(file(1000));
        assert!(!folder.path().join(FILE).exists());
    }

    #[cfg(unix)]
    #[test]
    fn file_that_others_may_read_is_ignored() {
        use std::{fs::Permissions, os::unix::fs::PermissionsExt};

        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("muster");
        write(&folder, &description()).unwrap();
        let path = folder.join(FILE);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
        assert!(read(&path).is_ok());
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let error = read(&path).err().unwrap();
        assert_eq!(error.to_string(), "other users have access to it");
    }
}
