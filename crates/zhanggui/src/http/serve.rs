//! Listening, with limits on headers, time and connections, and a shutdown that lets requests under way finish.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tower::{ServiceExt as _, util::MapRequest};

use crate::app::App;

/// How long a client may take for the headers of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// A listening server.
pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    accepting: JoinHandle<()>,
}

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Somebody else has the port.
    #[error("{0} is in use by another program; stop it, or set server.listen to another port")]
    InUse(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

impl Server {
    /// Listens and answers in the background.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn start(app: Arc<App>) -> Result<Self, ServeError> {
        let wanted = app.config.server.listen;
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ServeError::InUse(wanted),
            _ => ServeError::Listen { address: wanted, source },
        };
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        Self::on(listener, app).map_err(failed)
    }

    /// Answers what comes to this listener in the background.
    ///
    /// # Errors
    /// The listener does not know its address.
    pub fn on(listener: TcpListener, app: Arc<App>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let accepting = tokio::spawn(accept(listener, app, stop.clone()));
        Ok(Self { address, stop, accepting })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new connections and waits until the requests under way are answered, but not longer than configured.
    pub async fn stop(self) {
        self.stop.cancel();
        // The task ends by itself; a panic in it has been logged by the runtime.
        let _ = self.accepting.await;
    }
}

async fn accept(listener: TcpListener, app: Arc<App>, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(app.config.server.connections_max));
    let graceful = GracefulShutdown::new();
    let router = super::router(Arc::clone(&app));
    loop {
        // A slot first: when all are taken, the system's queue holds further connections.
        let connection = async {
            // The semaphore is never closed.
            let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is open");
            (listener.accept().await, slot)
        };
        let (accepted, slot) = tokio::select! {
            connection = connection => connection,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => answer(stream, peer, router.clone(), &graceful, slot),
            Err(error) => {
                // Too many open files, or a connection that broke at once: give others time to end.
                tracing::warn!(error.cause = %error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    app.drain();
    let finished = tokio::time::timeout(app.config.server.drain_timeout, graceful.shutdown()).await;
    if finished.is_err() {
        tracing::warn!("requests were still under way when the time to finish them was over");
    }
}

fn answer(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    graceful: &GracefulShutdown,
    slot: OwnedSemaphorePermit,
) {
    // Answers are small; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let service: MapRequest<_, _> = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(axum::body::Body::new)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error.cause = %error, "a connection ended early");
        }
        drop(slot);
    });
}
