//! Connections of the channels that speak for themselves: TCP, with or without TLS, within limits of time.
//!
//! In: host, port, whose certificates are believed. Out: something to write to and read from. Falls back to nothing: with TLS, a
//! server whose certificate does not hold is not spoken to.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::Error;

/// How long connecting, and then each read and write, may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Where systems keep the public authorities.
const SYSTEM_AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Both directions.
pub trait Link: Read + Write + Send {}

impl<T: Read + Write + Send> Link for T {}

/// Whose certificates are believed: those of a file, else the system's.
///
/// # Errors
/// The file cannot be read, or holds no certificate.
pub fn trust(authorities: Option<&Path>) -> Result<Arc<ClientConfig>, Error> {
    let file = match authorities {
        Some(file) => file.to_path_buf(),
        None => {
            let found = SYSTEM_AUTHORITIES.iter().map(PathBuf::from).find(|file| file.exists());
            found.unwrap_or_else(|| PathBuf::from(SYSTEM_AUTHORITIES[0]))
        }
    };
    let text = std::fs::read(&file).map_err(Error::file("tls_ca", &file))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&text).filter_map(Result::ok));
    if roots.is_empty() {
        return Err(Error::NoCertificate(file));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Thread(io::Error::other(error)))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Connects.
///
/// # Errors
/// Nobody is there, or the certificate does not hold.
pub fn connect(host: &str, port: u16, tls: Option<&Arc<ClientConfig>>) -> io::Result<Box<dyn Link>> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                stream.set_nodelay(true)?;
                let Some(config) = tls else { return Ok(Box::new(stream)) };
                let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
                let connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
                return Ok(Box::new(StreamOwned::new(connection, stream)));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
