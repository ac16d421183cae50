//! Certificates, and a real PostgreSQL that uses them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mitsuke::demo::Postgres;
use mitsuke::tls::{File, Own, Pair};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType, SignatureAlgorithm};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

use super::server::direct;
use super::{programs, wait_for};

/// An authority, and a folder with its certificate and those that it signed.
pub struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as files.
#[derive(Clone, Debug)]
pub struct Issued {
    /// PEM.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

impl Authority {
    /// An authority of that name.
    pub fn new(name: &str) -> Authority {
        Authority::with(name, &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    /// The same, signing with this algorithm.
    pub fn with(name: &str, algorithm: &'static SignatureAlgorithm) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate_for(algorithm).expect("a key"))
            .expect("an authority");
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("ca.crt"), issuer.pem()).expect("it can be written");
        Authority { folder, issuer }
    }

    /// Its own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// Signs a server's certificate for 127.0.0.1 and `localhost`.
    pub fn server(&self, name: &str) -> Issued {
        self.sign(name, |params| {
            params.subject_alt_names = vec![
                SanType::IpAddress([127, 0, 0, 1].into()),
                SanType::DnsName("localhost".try_into().expect("a name")),
            ];
        })
    }

    /// Signs a certificate for this common name.
    pub fn sign(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        self.sign_with(name, &key(), change)
    }

    /// The same, for this key.
    pub fn sign_with(&self, name: &str, key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let certificate = params.signed_by(key, &self.issuer).expect("it is signed");
        let at = |ending: &str| self.folder.path().join(format!("{name}.{ending}"));
        let issued = Issued { certificate: at("crt"), key: at("key") };
        fs::write(&issued.certificate, certificate.pem()).expect("it can be written");
        fs::write(&issued.key, key.serialize_pem()).expect("it can be written");
        // libpq refuses a key that others may read.
        fs::set_permissions(&issued.key, fs::Permissions::from_mode(0o600)).expect("it is ours");
        issued
    }
}

/// A new key.
pub fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key")
}

impl Issued {
    /// As `[listen].tls` has them.
    pub fn own(&self, client_ca: Option<&Path>) -> Own {
        let pair = self.pair("listen.tls.certificate", "listen.tls.key");
        Own { pair, client_ca: client_ca.map(|path| file("listen.tls.client_ca", path)) }
    }

    /// As `[upstream].tls` has them.
    pub fn as_client(&self) -> Pair {
        self.pair("upstream.tls.certificate", "upstream.tls.key")
    }

    fn pair(&self, certificate: &'static str, key: &'static str) -> Pair {
        Pair { certificate: file(certificate, &self.certificate), key: file(key, &self.key) }
    }
}

/// A file under its key.
pub fn file(key: &'static str, path: &Path) -> File {
    File { key, path: path.to_path_buf() }
}

/// Has a running server use that certificate, and ask clients for those of an authority.
pub fn enable(server: &Postgres, issued: &Issued, client_ca: Option<&Path>) {
    let data = server.socket_folder().join("data");
    let owner = fs::metadata(&data).expect("the server's folder");
    let install = |from: &Path, name: &str| {
        let to = data.join(name);
        fs::copy(from, &to).expect("it can be written");
        std::os::unix::fs::chown(&to, Some(owner.uid()), Some(owner.gid())).expect("we may give it away");
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).expect("we may set it");
    };
    install(&issued.certificate, "server.crt");
    install(&issued.key, "server.key");
    let mut settings = vec!["alter system set ssl = on"];
    if let Some(client_ca) = client_ca {
        install(client_ca, "root.crt");
        settings.push("alter system set ssl_ca_file = 'root.crt'");
    }
    let url = direct(server, "postgres");
    for setting in settings {
        programs::psql(&url, setting).expect_success();
    }
    programs::psql(&url, "select pg_reload_conf()").expect_success();
    wait_for("the server's TLS", || {
        programs::psql(&format!("{url}?sslmode=require"), "select 1").output.status.success().then_some(())
    });
}

/// A client's end of a TLS connection.
pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// The client's side of a handshake on a connection where one comes next.
///
/// # Errors
/// What the other side made of it.
pub fn handshake(mut stream: TcpStream, authority: &Authority, alpn: &[&str]) -> std::io::Result<Tls> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.certificate()).expect("PEM")).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    let mut connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(connection, stream))
}

/// A connection, encrypted or not.
pub enum Channel {
    /// Not.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<Tls>),
}

impl Channel {
    /// The connection below.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Channel::Plain(stream) => stream,
            Channel::Tls(stream) => &stream.sock,
        }
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.tcp().fmt(f)
    }
}

impl Read for Channel {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Channel::Plain(stream) => stream.read(into),
            Channel::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Channel::Plain(stream) => stream.write(bytes),
            Channel::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Channel::Plain(stream) => stream.flush(),
            Channel::Tls(stream) => stream.flush(),
        }
    }
}
