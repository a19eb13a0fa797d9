//! TLS from PEM files, reloaded when they change.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// A certificate chain and its key that can be replaced while connections come in.
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    current: ArcSwap<Loaded>,
}

struct Loaded {
    key: Arc<CertifiedKey>,
    /// The files' bytes, to see a change whatever became of their times.
    pem: (Vec<u8>, Vec<u8>),
}

/// A certificate that was found good and is not in use yet.
pub(crate) struct Renewed(Loaded);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} holds no usable {what}: it must be PEM, {hint}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
        /// What belongs in there.
        hint: &'static str,
    },
    /// The two do not go together.
    #[error("certificate {cert} and key {key} do not go together")]
    Mismatch {
        /// The certificate file.
        cert: PathBuf,
        /// The key file.
        key: PathBuf,
        /// Why.
        #[source]
        cause: rustls::Error,
    },
}

impl Tls {
    /// Loads a certificate chain (the server's own first) and its private key.
    pub fn load(cert: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        let current = ArcSwap::from_pointee(Loaded::read(cert, key)?);
        Ok(Arc::new(Self { cert: cert.to_owned(), key: key.to_owned(), current }))
    }

    /// Loads the files again if they changed; `true` when they did. On an error the former certificate stays in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let renewed = self.read_again()?;
        let changed = renewed.is_some();
        self.renew(renewed);
        Ok(changed)
    }

    /// What the files hold now, if it is something else, to be taken up by [`renew`](Self::renew).
    pub(crate) fn read_again(&self) -> Result<Option<Renewed>, TlsError> {
        let loaded = Loaded::read(&self.cert, &self.key)?;
        Ok((loaded.pem != self.current.load().pem).then_some(Renewed(loaded)))
    }

    /// Uses it from the next connection on.
    pub(crate) fn renew(&self, renewed: Option<Renewed>) {
        if let Some(Renewed(loaded)) = renewed {
            self.current.store(Arc::new(loaded));
        }
    }

    /// A configuration that always uses the current certificate. TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN.
    pub(crate) fn server_config(self: &Arc<Self>) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has the default protocol versions");
        let resolver: Arc<Self> = Arc::clone(self);
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

impl ResolvesServerCert for Tls {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().key))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("cert", &self.cert).finish_non_exhaustive()
    }
}

impl Loaded {
    fn read(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let pem = (file(cert)?, file(key)?);
        let wrong = |path: &Path, what, hint| TlsError::Pem { path: path.to_owned(), what, hint };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem.0)
            .collect::<Result<_, _>>()
            .ok()
            .filter(|chain: &Vec<_>| !chain.is_empty())
            .ok_or_else(|| {
                wrong(cert, "certificate", "the server's certificate first, then the chain")
            })?;
        let private = PrivateKeyDer::from_pem_slice(&pem.1)
            .map_err(|_| wrong(key, "private key", "PKCS#8, PKCS#1 or SEC1, not encrypted"))?;
        let certified =
            CertifiedKey::from_der(chain, private, &ring::default_provider()).map_err(|cause| {
                TlsError::Mismatch { cert: cert.to_owned(), key: key.to_owned(), cause }
            })?;
        Ok(Self { key: Arc::new(certified), pem })
    }
}

fn file(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|cause| TlsError::Read { path: path.to_owned(), cause })
}
