//! The HTTP server. Every listener of the local stack serves here, behind the guard.

use std::{io, net::SocketAddr};

use axum::{Router, serve::ListenerExt};
use tokio::{net::TcpListener, sync::watch};

use super::guard::Guard;

/// Serves routes behind the guard until it is stopped, then waits for running requests.
///
/// # Errors
/// The listener fails.
pub(super) async fn serve(
    listener: TcpListener,
    guard: Guard,
    routes: Router,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = listener.tap_io(|connection| {
        // Disables Nagle's algorithm, which delays small responses.
        let _ = connection.set_nodelay(true);
    });
    let service = guard
        .protect(routes)
        .into_make_service_with_connect_info::<SocketAddr>();
    let stopped = async move {
        // `wait_for` fails if the sender is dropped, which stops the server too.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    axum::serve(listener, service)
        .with_graceful_shutdown(stopped)
        .await
}
