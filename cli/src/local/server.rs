//! The HTTP server. Every listener of the local stack serves here, behind the guard.

use std::{io, net::SocketAddr};

use axum::{Router, middleware::from_fn_with_state, serve::ListenerExt};
use tokio::{net::TcpListener, sync::watch};

use super::{
    console::{self, Console},
    guard::Guard,
};

/// Serves routes behind the guard until it is stopped, then waits for running requests. The console
/// shows the requests, those that the guard rejects included.
///
/// # Errors
/// The listener fails.
pub(super) async fn serve(
    listener: TcpListener,
    guard: Guard,
    routes: Router,
    console: Console,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = listener.tap_io(|connection| {
        // Disables Nagle's algorithm, which delays small responses.
        let _ = connection.set_nodelay(true);
    });
    let mut routes = guard.protect(routes);
    if console.is_on() {
        routes = routes.layer(from_fn_with_state(console, console::observe));
    }
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    let stopped = async move {
        // `wait_for` fails if the sender is dropped, which stops the server too.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    axum::serve(listener, service)
        .with_graceful_shutdown(stopped)
        .await
}
