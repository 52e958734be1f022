//! Serving routes on a listener. Every listener of the local stack is served here, behind the
//! guard.

use std::{io, net::SocketAddr};

use axum::{Router, serve::ListenerExt};
use tokio::{net::TcpListener, sync::watch};

use super::guard::Guard;

/// Serves routes behind the guard until it is told to stop; then lets the requests under way
/// finish.
///
/// # Errors
/// The listener failed.
pub(super) async fn serve(
    listener: TcpListener,
    guard: Guard,
    routes: Router,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = listener.tap_io(|connection| {
        // Sends small responses without waiting for the next packet.
        let _ = connection.set_nodelay(true);
    });
    let service = guard
        .protect(routes)
        .into_make_service_with_connect_info::<SocketAddr>();
    let stopped = async move {
        // A sender that is dropped stops it too.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    axum::serve(listener, service)
        .with_graceful_shutdown(stopped)
        .await
}
