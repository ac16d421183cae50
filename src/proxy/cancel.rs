//! A client's wish to have a running statement cancelled.
//!
//! In: a CancelRequest as it came, over TLS or not. Out: the same bytes to the server over a connection of their own, protected as those of
//! sessions are (manual, "Canceling Requests in Progress"): the server finds the session by the key that it gave out itself. The client's socket stays open until the server
//! has closed its own, because a client that sees it closed takes the request for processed. Never answered, never
//! recorded: what it does to a statement is.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time;

use super::socket::Socket;
use super::upstream::Upstream;

/// How long the server may take to close the connection of a cancel request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Passes `request` on and returns when the server has dealt with it; `client` is closed then.
pub async fn pass_on(request: &[u8], client: Socket, upstream: &Upstream) {
    send(request, upstream).await;
    drop(client);
}

/// Sends a CancelRequest, and returns when the server has dealt with it.
pub async fn send(request: &[u8], upstream: &Upstream) {
    let address = &upstream.address;
    let sent = async {
        let mut server = upstream.connect().await?;
        server.write_all(request).await?;
        // PostgreSQL says nothing to it; were it to say something, the client would not read it.
        let mut nothing = [0; 64];
        while server.read(&mut nothing).await? > 0 {}
        Ok::<(), std::io::Error>(())
    };
    match time::timeout(ANSWER_TIMEOUT, sent).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%address, %error, "a cancel request could not be passed on"),
        Err(_) => tracing::warn!(%address, "the server did not close a cancel request's connection in time"),
    }
}
