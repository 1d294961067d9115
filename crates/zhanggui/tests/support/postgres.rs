//! A throw-away PostgreSQL for tests, one per test process, started from the machine's own binaries.
//!
//! It lives in a directory under /tmp, listens on a Unix socket in it only, never runs as root and trades durability for speed.
//! A watchdog process waits for the end of a pipe to the test process: however the tests end, it stops the server and removes the
//! directory. `ZHANGGUI_TEST_POSTGRES_URL` (a superuser's URL) names a server to use instead; databases made there are left behind.
//! Also included by the unit tests of `src/database`.
#![allow(dead_code, reason = "each test binary that includes this file uses another part of it")]

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    io::Write,
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use postgres::{Client, NoTls};

/// The URL of a fresh database, or `None` where there is no PostgreSQL, after saying so. With `ZHANGGUI_REQUIRE_POSTGRES=1` its
/// absence is a failure.
pub(crate) fn url_or_skip() -> Option<String> {
    match server() {
        Ok(server) => Some(server.create_database()),
        Err(reason) if variable("ZHANGGUI_REQUIRE_POSTGRES").as_deref() == Some("1") => {
            panic!("no PostgreSQL ({reason}), but ZHANGGUI_REQUIRE_POSTGRES=1")
        }
        Err(reason) => {
            eprintln!("skipped: no PostgreSQL ({reason})");
            None
        }
    }
}

/// The server of this test process, started at the first call.
pub(crate) fn server() -> Result<&'static TestPostgres, String> {
    static SERVER: OnceLock<Result<TestPostgres, String>> = OnceLock::new();
    let started = SERVER.get_or_init(|| {
        apart(|| match variable("ZHANGGUI_TEST_POSTGRES_URL") {
            Some(url) => TestPostgres::at(&url),
            None => TestPostgres::start(),
        })
    });
    started.as_ref().map_err(Clone::clone)
}

/// A running server.
pub(crate) struct TestPostgres {
    /// URL of a superuser without the name of the database; what follows it, from `?`.
    url: (String, String),
    admin: Mutex<Client>,
    /// Its end ends the server.
    _watchdog: Option<ChildStdin>,
}

impl TestPostgres {
    /// Makes a new empty database and gives its URL.
    pub(crate) fn create_database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name =
            format!("zhanggui_test_{}_{count}_{:08x}", std::process::id(), RandomState::new().hash_one(count) as u32);
        self.administer(|admin| {
            admin.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"))
        });
        let (server, parameters) = &self.url;
        format!("{server}/{name}{parameters}")
    }

    /// Ends all connections to the database of this URL, as a restart of the server would.
    pub(crate) fn disconnect_all(&self, url: &str) {
        let name = url.rsplit('/').next().and_then(|rest| rest.split('?').next()).unwrap_or_default();
        let sql = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1";
        self.administer(|admin| admin.execute(sql, &[&name]).map(|_| ()));
    }

    fn administer(&self, work: impl FnOnce(&mut Client) -> Result<(), postgres::Error> + Send) {
        let done = apart(|| work(&mut self.admin.lock().unwrap_or_else(PoisonError::into_inner)));
        done.expect("a superuser may administer the server");
    }

    fn at(url: &str) -> Result<Self, String> {
        let (address, parameters) = url.split_at(url.find('?').unwrap_or(url.len()));
        let host = address.find("://").map_or(0, |start| start + 3);
        let end = address[host..].find('/').map_or(address.len(), |slash| host + slash);
        let admin = Client::connect(url, NoTls).map_err(|error| format!("ZHANGGUI_TEST_POSTGRES_URL: {error}"))?;
        let url = (address[..end].to_owned(), parameters.to_owned());
        Ok(Self { url, admin: Mutex::new(admin), _watchdog: None })
    }

    fn start() -> Result<Self, String> {
        let programs =
            programs().ok_or("initdb, pg_ctl and postgres are neither on PATH nor under /usr/lib/postgresql")?;
        let place = Place::make()?;
        let watchdog = place.watch()?;
        let data = place.directory.join("data");
        let log = place.directory.join("log");
        let mut initdb = place.command(&programs.join("initdb"));
        initdb
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--pgdata"])
            .arg(&data);
        succeed(&mut initdb)?;
        let settings = format!("{SETTINGS}unix_socket_directories = '{}'\n", place.directory.display());
        fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .and_then(|mut file| file.write_all(settings.as_bytes()))
            .map_err(|error| format!("postgresql.conf: {error}"))?;
        let mut pg_ctl = place.command(&programs.join("pg_ctl"));
        pg_ctl.args(["start", "--wait", "--timeout=60", "--pgdata"]).arg(&data).arg("--log").arg(&log);
        succeed(&mut pg_ctl).map_err(|error| format!("{error} {}", fs::read_to_string(&log).unwrap_or_default()))?;
        let url = format!("postgres://postgres@{}", place.directory.display().to_string().replace('/', "%2F"));
        let admin = Client::connect(&format!("{url}/postgres"), NoTls).map_err(|error| error.to_string())?;
        Ok(Self { url: (url, String::new()), admin: Mutex::new(admin), _watchdog: Some(watchdog) })
    }
}

/// On a thread of its own, because the driver refuses to work on one that runs asynchronous tests.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let done = std::thread::scope(|scope| scope.spawn(work).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The directory of the server and the user it belongs to.
struct Place {
    directory: PathBuf,
    /// User and group to become, if the tests run as root.
    user: Option<(u32, u32)>,
}

impl Place {
    fn make() -> Result<Self, String> {
        // Short, because the path of a Unix socket may have 107 bytes only, and open to the other user if we are root.
        let root = Some(PathBuf::from("/tmp")).filter(|path| path.is_dir()).unwrap_or_else(std::env::temp_dir);
        let number = RandomState::new().hash_one(0) as u32;
        let directory = root.join(format!("zhanggui-postgres-{}-{number:08x}", std::process::id()));
        let io = |error| format!("{}: {error}", directory.display());
        fs::DirBuilder::new().mode(0o700).create(&directory).map_err(io)?;
        let user = match fs::metadata(&directory).map_err(io)?.uid() {
            0 => Some(other_user().ok_or("running as root, and there is neither a user postgres nor nobody")?),
            _ => None,
        };
        if let Some((uid, gid)) = user {
            chown(&directory, Some(uid), Some(gid)).map_err(io)?;
        }
        Ok(Self { directory, user })
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.directory).stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// In a process group of its own, so that Ctrl-C in the terminal does not end it before its work.
    fn watch(&self) -> Result<ChildStdin, String> {
        let mut watchdog = Command::new("sh");
        watchdog.arg("-c").arg(WATCHDOG).arg("sh").arg(&self.directory).current_dir("/").process_group(0);
        watchdog.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = watchdog.spawn().map_err(|error| format!("sh: {error}"))?;
        child.stdin.take().ok_or_else(|| "sh has no stdin".to_owned())
    }
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().display().to_string();
    // Not `output`: the server would keep the pipe open.
    let status =
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().map_err(|error| format!("{name}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name}: {status}")) }
}

/// The directory that holds the programs of a server, the newest first where there are several.
fn programs() -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    // A link on PATH leads to the directory that has the other programs as well.
    let on_path = std::env::split_paths(&path).filter_map(|directory| {
        let program = directory.join("postgres").canonicalize().ok()?;
        program.parent().map(Path::to_owned)
    });
    let mut installed: Vec<_> = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().collect();
    installed
        .sort_by_key(|entry| std::cmp::Reverse(entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok())));
    on_path
        .chain(installed.iter().map(|entry| entry.path().join("bin")))
        .find(|directory| ["initdb", "pg_ctl", "postgres"].iter().all(|program| directory.join(program).is_file()))
}

fn other_user() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|wanted| {
        let fields: Vec<_> =
            users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|user| user[0] == *wanted)?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    })
}

#[expect(clippy::disallowed_methods, reason = "where the test server is, is said by the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Nothing here needs to survive, and most of the time nothing happens.
const SETTINGS: &str = "
listen_addresses = ''
max_connections = 200
shared_buffers = 16MB
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
";

/// `read` returns when the test process is gone, because nobody ever writes. An initdb or pg_ctl that survived the test process may
/// still make files for a moment, hence the loop.
const WATCHDOG: &str = r#"
read -r _
tries=0
while [ -e "$1" ] && [ "$tries" -lt 300 ]; do
    pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
    if [ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null; then
        while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 100 ]; do
            sleep 0.1
            tries=$((tries + 1))
        done
    fi
    rm -rf "$1"
    sleep 0.2
    tries=$((tries + 1))
done
"#;
