//! `zhanggui serve`: the server, until SIGTERM or Ctrl-C. Then it takes nothing new and finishes what is under way.

use std::sync::Arc;

#[cfg(feature = "simulator")]
use tokio::net::TcpListener;

use super::{CliError, ConfigArgument, log, open};
use crate::{
    app::App,
    background::Background,
    clock::{Clock, system_entropy},
    config::Config,
    crash, customer_service, housekeeping,
    http::Server,
    job, payment, webhook,
};

/// Arguments of `zhanggui serve`.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgument,
}

pub(super) async fn run(arguments: &ServeArgs) -> Result<(), CliError> {
    let config = arguments.config.load()?;
    log::start(config.log, "info");
    let server = Running::start(config, crash::clock()).await?;
    let end = interruption();
    tracing::info!(server.address = %server.http.address(), "ready");
    end.await;
    server.stop().await;
    Ok(())
}

/// A server with its background work.
pub(super) struct Running {
    pub(super) app: Arc<App>,
    pub(super) http: Server,
    background: Vec<Background>,
}

impl Running {
    pub(super) async fn start(config: Config, clock: Clock) -> Result<Self, CliError> {
        let app = Self::app(config, clock).await?;
        let http = Server::start(Arc::clone(&app)).await?;
        Ok(Self::with(app, http))
    }

    /// The same, on a listener that is there already.
    #[cfg(feature = "simulator")]
    pub(super) async fn on(listener: TcpListener, config: Config, clock: Clock) -> Result<Self, CliError> {
        let app = Self::app(config, clock).await?;
        let http = Server::on(listener, Arc::clone(&app)).map_err(CliError::file("cannot listen"))?;
        Ok(Self::with(app, http))
    }

    async fn app(config: Config, clock: Clock) -> Result<Arc<App>, CliError> {
        let database = open(&config).await?;
        Ok(App::new(config, database, clock, system_entropy())?)
    }

    fn with(app: Arc<App>, http: Server) -> Self {
        let background = vec![
            job::start(Arc::clone(&app)),
            payment::keep_keys_fresh(Arc::clone(&app)),
            webhook::start(Arc::clone(&app)),
            housekeeping::start(Arc::clone(&app)),
            customer_service::forget_old_pushes(Arc::clone(&app)),
        ];
        Self { app, http, background }
    }

    /// Requests first, then jobs, then the database: nothing that was answered is lost.
    pub(super) async fn stop(self) {
        tracing::info!("stopping: finishing what is under way");
        self.http.stop().await;
        for work in self.background {
            work.stop().await;
        }
        self.app.database.clone().close().await;
        tracing::info!("stopped");
    }
}

/// Listens for Ctrl-C and SIGTERM from now on; what is given ends with the first of them. Called before somebody is told
/// that the program runs, or an early signal would end it without draining.
pub(super) fn interruption() -> impl Future<Output = ()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        async move {
            // Without signals the process ends when somebody ends it.
            let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return std::future::pending().await };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
    }
    #[cfg(not(unix))]
    async {
        let _ = tokio::signal::ctrl_c().await;
    }
}
