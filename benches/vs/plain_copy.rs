//! The least that a relay can do, to hold Mitsuke against: tokio's `copy_bidirectional`, nothing read, nothing recorded.
//!
//! In: `--listen host:port --upstream host:port`. Out: bytes, both ways, with 16 KiB buffers, on one thread.

#![allow(clippy::panic, clippy::expect_used, reason = "a bench ends where it cannot go on")]

use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};

/// Of each direction.
const BUFFER_BYTES: usize = 16 * 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1).cloned();
    // `cargo bench` starts every bench: without addresses there is nothing to relay.
    let (Some(listen), Some(upstream)) = (value("--listen"), value("--upstream")) else {
        println!("plain_copy: started by benches/vs/run.sh, which says --listen and --upstream");
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(serve(&listen, &upstream));
}

async fn serve(listen: &str, upstream: &str) {
    let listener = TcpListener::bind(listen).await.expect("a free port");
    loop {
        let Ok((mut client, _)) = listener.accept().await else { continue };
        let upstream = upstream.to_owned();
        tokio::spawn(async move {
            let mut server = TcpStream::connect(upstream).await?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER_BYTES, BUFFER_BYTES).await
        });
    }
}
