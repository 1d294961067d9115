//! `zhanggui dev`, and the commands that talk to a running one.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tempfile::TempDir;

use crate::place::{json, printed};

/// A `dev` in a folder of its own. It ends with the test.
struct Dev {
    folder: TempDir,
    child: Child,
    announced: Value,
}

impl Dev {
    fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), &[])
    }

    fn start_in(folder: TempDir, more: &[&str]) -> Self {
        Self::started(folder, |folder| spawn_dev(folder, "24000", more))
    }

    fn started(folder: TempDir, spawn: impl FnOnce(&Path) -> Child) -> Self {
        let mut child = spawn(folder.path());
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let announced = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Self { folder, child, announced }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        zhanggui(self.folder.path()).args(arguments).output().unwrap()
    }

    fn trigger(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[&["trigger", "--json", "--seed", "7"], arguments].concat());
        assert!(output.status.success(), "{output:?}");
        json(&output)
    }

    /// Ctrl-C of a service manager, and the end.
    #[cfg(unix)]
    fn stop(mut self) -> TempDir {
        let stopped = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(stopped.success() && self.child.wait().unwrap().success(), "it drains and ends well");
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn_dev(folder: &Path, port: &str, more: &[&str]) -> Child {
    let mut command = zhanggui(folder);
    command.args(["dev", "--json", "--port", port]).args(more).stdout(Stdio::piped());
    command.spawn().unwrap()
}

fn zhanggui(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zhanggui"));
    command.current_dir(folder).env_remove("ZHANGGUI_CONFIG").stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

fn complaint(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn without_a_running_dev_the_commands_say_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["trigger", "payment"][..], &["sim", "clock", "+2h"]] {
        let said = complaint(&zhanggui(folder.path()).args(arguments).output().unwrap());
        assert!(said.contains("no `zhanggui dev` runs with the folder zhanggui-dev"), "{said}");
    }
}

#[test]
fn a_typing_error_is_answered_with_what_was_probably_meant() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, meant) in [(&["triger", "payment"][..], "'trigger'"), (&["trigger", "paymet"], "'payment'")] {
        let said = complaint(&zhanggui(folder.path()).args(arguments).output().unwrap());
        assert!(said.contains("similar") && said.contains(meant), "{said}");
    }
}

#[test]
fn a_second_dev_in_the_folder_is_refused() {
    let dev = Dev::start();
    let said = complaint(&dev.run(&["dev"]));
    assert!(said.contains("runs already"), "{said}");
}

/// Name and bytes of every file.
fn contents(folder: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    files.map(|file| (file.file_name(), std::fs::read(file.path()).unwrap())).collect()
}

#[test]
fn a_deployment_in_the_folder_is_refused_and_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    assert!(zhanggui(folder.path()).arg("init").output().unwrap().status.success());
    for file in ["zhanggui.db", "apiclient_key.pem", "api.key"] {
        std::fs::write(folder.path().join(file), "live").unwrap();
    }
    let before = contents(folder.path());
    for arguments in [&["dev", "--data", "."][..], &["dev", "--data", ".", "--fresh"]] {
        let said = complaint(&zhanggui(folder.path()).args(arguments).output().unwrap());
        assert!(said.contains("did not make") && said.contains("--data"), "{said}");
        assert_eq!(contents(folder.path()), before, "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_deployment_that_was_made_out_of_the_folder_is_refused() {
    let folder = Dev::start().stop();
    let data = folder.path().join("zhanggui-dev");
    let configuration = data.join("zhanggui.toml");
    let live = std::fs::read_to_string(&configuration).unwrap().replace("\"simulated\"", "\"live\"");
    std::fs::write(&configuration, live).unwrap();
    let before = contents(&data);
    for arguments in [&["dev"][..], &["dev", "--fresh"]] {
        let said = complaint(&zhanggui(folder.path()).args(arguments).output().unwrap());
        assert!(said.contains("did not make"), "{said}");
        assert_eq!(contents(&data), before, "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn starting_over_removes_nothing_of_others() {
    let folder = Dev::start().stop();
    let notes = folder.path().join("zhanggui-dev/notes.txt");
    std::fs::write(&notes, "mine").unwrap();
    let dev = Dev::start_in(folder, &["--fresh"]);
    assert_eq!(std::fs::read_to_string(dev.folder.path().join("zhanggui-dev/notes.txt")).unwrap(), "mine");
}

#[test]
fn devs_that_start_at_once_get_ports_of_their_own() {
    let folders: Vec<_> = (0..6).map(|_| tempfile::tempdir().unwrap()).collect();
    let children: Vec<_> = folders.iter().map(|folder| spawn_dev(folder.path(), "24500", &[])).collect();
    let devs: Vec<_> =
        folders.into_iter().zip(children).map(|(folder, child)| Dev::started(folder, |_| child)).collect();
    let servers: BTreeSet<_> = devs.iter().map(|dev| dev.announced["server"].to_string()).collect();
    assert_eq!(servers.len(), devs.len(), "{servers:?}");
}

#[test]
fn the_first_and_the_last_port_can_be_wished_for() {
    for port in ["0", "65535"] {
        let dev = Dev::started(tempfile::tempdir().unwrap(), |folder| spawn_dev(folder, port, &[]));
        assert_eq!(dev.trigger(&["payment"])["result"]["state"], "paid", "{}", dev.announced);
        assert!(!dev.announced["server"].as_str().unwrap().ends_with(":0"), "{}", dev.announced);
    }
}

#[test]
fn a_lost_notification_is_healed_by_asking() {
    let dev = Dev::start();
    let told = dev.trigger(&["payment", "--fault", "lost-notification", "--amount", "1990"]);
    assert_eq!((&told["result"]["state"], &told["result"]["amount"]), (&"paid".into(), &1990.into()));
    let steps = told["steps"].to_string();
    assert!(steps.contains("no notification came"), "{steps}");
}

#[test]
fn a_late_payment_is_paid_and_not_closed() {
    let dev = Dev::start();
    let told = dev.trigger(&["late-payment"]);
    assert_eq!(told["result"]["state"], "paid", "{told}");
    assert!(told["steps"].to_string().contains("closing"), "{told}");
}

#[test]
fn money_that_comes_twice_goes_back_once() {
    let dev = Dev::start();
    let told = dev.trigger(&["double-payment", "--amount", "1990"]);
    assert_eq!(
        (&told["result"]["order"]["state"], &told["result"]["refund"]["refund_fen"]),
        (&"paid".into(), &1990.into())
    );
}

#[test]
fn a_refund_brings_the_money_back() {
    let dev = Dev::start();
    let told = dev.trigger(&["refund", "--amount", "1990"]);
    assert_eq!((&told["result"]["state"], &told["result"]["amount"]), (&"succeeded".into(), &1990.into()));
}

#[test]
fn faults_on_the_way_to_the_payment_sheet_cost_a_press_and_nothing_else() {
    let dev = Dev::start();
    for fault in ["lost-answer", "busy", "double-notification", "tampered-notification"] {
        assert_eq!(dev.trigger(&["payment", "--fault", fault])["result"]["state"], "paid", "{fault}");
    }
    assert_eq!(dev.trigger(&["cancelled-payment"])["result"]["state"], "open");
}

/// What WeChat's control API answers.
fn control(dev: &Dev, path: &str) -> Value {
    let wechat = dev.announced["wechat"].as_str().unwrap().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(wechat).unwrap();
    write!(stream, "GET /_sim/{path} HTTP/1.1\r\nhost: {wechat}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn a_run_that_fails_or_does_not_need_its_fault_takes_it_back() {
    let dev = Dev::start();
    let none = serde_json::json!({ "faults": [] });
    // An order of this amount is refused for good.
    let said = complaint(&dev.run(&["trigger", "payment", "--amount", "999005", "--fault", "lost-notification"]));
    assert!(said.contains("error"), "{said}");
    assert_eq!(control(&dev, "faults"), none);
    dev.trigger(&["cancelled-payment", "--fault", "lost-notification"]);
    assert_eq!(control(&dev, "faults"), none);
}

#[cfg(unix)]
#[test]
fn a_run_that_is_cut_short_takes_its_fault_back() {
    let dev = Dev::start();
    let arguments = ["trigger", "payment", "--fault", "lost-push"];
    let mut trigger = zhanggui(dev.folder.path()).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(trigger.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(told.next().unwrap().starts_with("a fault waits"));
    assert!(Command::new("kill").arg(trigger.id().to_string()).status().unwrap().success());
    // Whether it was at its end already does not matter.
    trigger.wait().unwrap();
    assert_eq!(control(&dev, "faults"), serde_json::json!({ "faults": [] }));
}

#[test]
fn the_same_seed_gives_the_same_amount_and_customer() {
    let dev = Dev::start();
    let (first, second) = (dev.trigger(&["payment"]), dev.trigger(&["payment"]));
    assert_eq!(first["result"]["amount"], second["result"]["amount"]);
    assert_eq!(first["result"]["customer"], second["result"]["customer"]);
}

#[test]
fn a_message_that_is_pushed_twice_is_one() {
    let dev = Dev::start();
    let told = dev.trigger(&["repeated-push", "--text", "在吗？"]);
    assert!(told["result"]["msg_id"].is_string(), "{told}");
    let (mut since, mut pushed) = (0, 0);
    while pushed < 2 {
        let wire = control(&dev, &format!("wire?since={since}&wait_s=10"));
        let exchanges = wire["exchanges"].as_array().unwrap();
        assert!(!exchanges.is_empty(), "it was pushed {pushed} times");
        since = exchanges.last().unwrap()["sequence"].as_u64().unwrap();
        let of_message = |exchange: &&Value| exchange["request_opened"].to_string().contains("在吗");
        pushed += exchanges.iter().filter(of_message).count();
    }
    assert_eq!(pushed, 2);
}

#[test]
fn the_clock_of_server_and_wechat_is_one_and_moves_together() {
    let dev = Dev::start();
    let offset = |output: &Output| json(output)["offset_s"].as_i64().unwrap();
    assert_eq!(offset(&dev.run(&["sim", "clock", "--json"])), 0);
    assert_eq!(offset(&dev.run(&["sim", "clock", "+1d2h", "--json"])), 93_600);
    let told = dev.trigger(&["payment"]);
    let created: jiff::Timestamp = told["result"]["created_at"].as_str().unwrap().parse().unwrap();
    let now: jiff::Timestamp = json(&dev.run(&["sim", "clock", "--json"]))["now"].as_str().unwrap().parse().unwrap();
    assert!(now.duration_since(created).as_secs() < 3_600, "{created} is by the moved clock");
    let text = printed(&dev.run(&["sim", "clock", "-26h"]));
    assert!(text.contains("(0 s ahead"), "{text}");
    let said = complaint(&dev.run(&["sim", "clock", "+99999999h"]));
    assert!(said.contains("the clock goes from 2000") && !said.contains('{'), "{said}");
    assert_eq!(offset(&dev.run(&["sim", "clock", "--json"])), 0);
}

/// A `listen` to messages. It ends with the test.
struct Listen(Child);

impl Listen {
    fn start(dev: &Dev, hook: &TcpListener) -> Self {
        let url = format!("http://{}/hook", hook.local_addr().unwrap());
        let arguments = ["listen", "--json", "--types", "message.received", "--forward-to", &url];
        Self(zhanggui(dev.folder.path()).args(arguments).stdout(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Listen {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A line that a running command prints.
fn read_json(output: &mut impl std::io::BufRead) -> Value {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Takes one request and answers it.
fn take_post(listener: &TcpListener, status: &str) -> (String, Vec<u8>) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).unwrap();
    }
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap()];
    reader.read_exact(&mut body).unwrap();
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    (head, body)
}

#[test]
fn events_are_forwarded_signed_and_go_on_after_a_refusal() {
    let dev = Dev::start();
    let hook = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut listen = Listen::start(&dev, &hook);
    let mut told = BufReader::new(listen.0.stdout.take().unwrap());
    let secret = read_json(&mut told)["secret"].as_str().unwrap().to_owned();
    assert_eq!(dev.announced["webhook_secret"], secret);
    for status in ["500 No", "204 Good"] {
        dev.trigger(&["message"]);
        let (head, body) = take_post(&hook, status);
        let header = |name: &str| {
            let start = format!("{name}: ");
            head.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{name} in {head}"))
        };
        let (id, time) = (header("webhook-id"), header("webhook-timestamp"));
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let signed = [format!("{id}.{time}.").as_bytes(), &body].concat();
        let signature = STANDARD.decode(header("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), &signed, &signature).unwrap();
        let event: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&event["type"], &event["id"]), (&"message.received".into(), &id.into()));
        let line = read_json(&mut told);
        assert_eq!((&line["event"], line["status"].to_string().as_str()), (&event, &status[..3]));
    }
}

#[cfg(unix)]
#[test]
fn forwarding_goes_on_where_it_was_when_dev_comes_back_elsewhere() {
    let dev = Dev::start();
    let hook = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut listen = Listen::start(&dev, &hook);
    read_json(&mut BufReader::new(listen.0.stdout.as_mut().unwrap()));
    let mut errors = BufReader::new(listen.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let forwarded = |dev: &Dev, text: &str| {
        dev.trigger(&["message", "--text", text]);
        let body: Value = serde_json::from_slice(&take_post(&hook, "204 Good").1).unwrap();
        body["data"]["message"]["text"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
    };
    // Before anything has come.
    let folder = dev.stop();
    assert!(errors.next().unwrap().contains("waiting"));
    let dev = Dev::start_in(folder, &[]);
    assert_eq!(forwarded(&dev, "one"), "one");
    assert!(errors.next().unwrap().contains("come again"));
    let folder = dev.stop();
    let said = errors.next().unwrap();
    assert!(said.contains("waiting for `zhanggui dev`"), "{said}");
    let dev = Dev::started(folder, |folder| spawn_dev(folder, "24300", &[]));
    // Perhaps before the stream is there again.
    assert_eq!(forwarded(&dev, "two"), "two");
    let said = errors.next().unwrap();
    assert!(said.contains(dev.announced["server"].as_str().unwrap()), "{said}");
    let folder = dev.stop();
    assert!(errors.next().unwrap().contains("waiting"));
    let dev = Dev::start_in(folder, &["--fresh"]);
    assert_eq!(forwarded(&dev, "three"), "three", "of another database");
    assert!(errors.next().unwrap().contains("come again"));
}

#[test]
fn a_scenario_that_does_not_happen_ends_with_a_report_and_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(folder.path().join("story.toml"), text).unwrap();
    let play = || {
        let arguments = ["sim", "run", "story.toml", "--json", "--listen", "127.0.0.1:0", "--within-s", "1"];
        zhanggui(folder.path()).args(arguments).output().unwrap()
    };
    write(
        "title = \"Nobody calls\"\n[[step]]\nname = \"paid\"\nafter_call = { path = \"order\" }\npay = { order = \"latest\" }\n",
    );
    let output = play();
    let said = complaint(&output);
    assert!(said.contains("1 of 1 steps"), "{said}");
    let report: Value = serde_json::from_str(printed(&output).lines().nth(1).unwrap()).unwrap();
    assert_eq!((&report["ok"], &report["steps"][0]["name"]), (&false.into(), &"paid".into()));
    write("title = \"An outage\"\n[[step]]\noutage_s = 60\n");
    assert!(play().status.success());
    write("title = 1\n");
    assert!(complaint(&play()).contains("story.toml"));
}

#[cfg(unix)]
#[test]
fn data_are_kept_and_fresh_starts_over() {
    let dev = Dev::start();
    let key = dev.announced["api_key"].clone();
    assert!(key.as_str().unwrap().starts_with("zg_sim_"), "{key}");
    let folder = dev.stop();
    assert!(!folder.path().join("zhanggui-dev/running.json").exists());
    let dev = Dev::start_in(folder, &[]);
    assert_eq!(dev.announced["api_key"], key);
    let dev = Dev::start_in(dev.stop(), &["--fresh"]);
    assert_ne!(dev.announced["api_key"], key);
}

#[cfg(unix)]
#[test]
fn the_webhook_secret_is_for_the_owner_only_and_stays_until_everything_is_fresh() {
    use std::os::unix::fs::PermissionsExt as _;

    let secret = |dev: &Dev| {
        let path = dev.folder.path().join("zhanggui-dev/webhook.secret");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let kept = std::fs::read_to_string(path).unwrap();
        assert_eq!(dev.announced["webhook_secret"], kept.trim());
        kept
    };
    let dev = Dev::start();
    let first = secret(&dev);
    assert!(first.starts_with("whsec_"), "{first}");
    let dev = Dev::start_in(dev.stop(), &[]);
    assert_eq!(secret(&dev), first);
    let dev = Dev::start_in(dev.stop(), &["--fresh"]);
    assert_ne!(secret(&dev), first);
}

#[test]
fn every_command_can_speak_json() {
    let folder = tempfile::tempdir().unwrap();
    let help = |words: &[&str]| printed(&zhanggui(folder.path()).args(words).arg("--help").output().unwrap());
    for words in [
        &["dev"][..],
        &["tour"],
        &["init"],
        &["migrate"],
        &["doctor"],
        &["explain-signature"],
        &["attention"],
        &["key", "create"],
        &["key", "list"],
        &["key", "revoke"],
        &["product", "set"],
        &["product", "remove"],
        &["product", "import"],
        &["product", "list"],
        &["trigger"],
        &["listen"],
        &["sim"],
        &["sim", "clock"],
        &["sim", "run"],
    ] {
        assert!(help(words).contains("--json"), "{words:?}");
    }
}

#[test]
fn every_shell_gets_a_completion_script() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(&zhanggui(folder.path()).args(["completion", shell]).output().unwrap());
        assert!(script.contains("trigger") && script.contains("zhanggui"), "{shell}");
    }
}
