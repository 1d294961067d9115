//! One running server.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use zhanggui::{
    app::App,
    clock::{Clock, Entropy},
    config::{Config, empty_environment},
    database::{Database, Options},
    http::{ServeError, Server},
    job,
};

use super::{Http, Shop};

/// A server and how to reach it. It has no job runner: the test says when jobs run.
pub(crate) struct Node {
    pub(crate) app: Arc<App>,
    pub(crate) http: Http,
    server: Server,
}

/// What a server is started with; the same for a restart.
#[derive(Clone)]
pub(crate) struct Recipe {
    pub(crate) database: String,
    pub(crate) wechat: String,
    /// WeChat Pay where it asks for a client certificate.
    pub(crate) wechat_certified: String,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
}

impl Recipe {
    pub(crate) fn config(&self, shop: &Shop, port: u16) -> Config {
        let text = shop.toml(port, &self.database, (&self.wechat, &self.wechat_certified));
        Config::parse(&text, Path::new("zhanggui.toml"), &empty_environment).unwrap()
    }

    /// Starts on this port, or says that somebody else has it.
    pub(crate) async fn start(&self, shop: &Shop, port: u16) -> Result<Node, ServeError> {
        let config = self.config(shop, port);
        let database = Database::open(Options::new(config.database.clone()), config.wechat.realm).await.unwrap();
        let app = App::new(config, database, Arc::clone(&self.clock), Arc::clone(&self.entropy)).unwrap();
        let server = match Server::start(Arc::clone(&app)).await {
            Ok(server) => server,
            Err(error) => {
                app.database.clone().close().await;
                return Err(error);
            }
        };
        let http = Http::new(format!("http://{}", server.address()));
        Ok(Node { app, http, server })
    }

    /// Starts on a port that is free now and stays ours across restarts: below those that the system gives away.
    pub(crate) async fn start_somewhere(&self, shop: &Shop) -> (Node, u16) {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        loop {
            let offset = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add((std::process::id() as u16) << 4);
            let port = 10_000 + offset % 20_000;
            match self.start(shop, port).await {
                Ok(node) => return (node, port),
                Err(ServeError::InUse(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

impl Node {
    pub(crate) async fn stop(self) {
        self.server.stop().await;
        self.app.database.clone().close().await;
    }

    /// Runs every job that is due and gives the number of runs.
    pub(crate) async fn run_jobs(&self) -> usize {
        job::run_due(&self.app).await.unwrap()
    }
}
