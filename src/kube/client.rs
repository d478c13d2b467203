//! A Kubernetes client whose bytes travel through SSH.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::kube::Client;
use ::kube::client::{Body, middleware::BaseUriLayer};
use http::Uri;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower::{BoxError, Service, ServiceBuilder, service_fn};

use super::{AdminConf, KubeError, Link};
use crate::transport::Stream;

/// The name by which every API server of kubeadm can be asked: it is always among its certificate's names.
const SERVER_NAME: &str = "kubernetes";
/// From an opened SSH connection to a finished TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// From a request to the head of its answer. An API server that waits for etcd takes up to 60 s to say so; nothing of
/// ours is worth that.
const ANSWER: Duration = Duration::from_secs(20);

/// A client that asks the API server of whichever control plane the link leads to.
///
/// All requests and watches share one HTTP/2 connection over one SSH channel. A lost one is noticed by pings within 15 s
/// and replaced at the next request, by another control plane where that is needed. Nothing is opened yet.
///
/// # Errors
/// [`KubeError::AdminConf`] where certificate or key are unfit.
pub fn client(link: Arc<Link>, conf: &AdminConf) -> Result<Client, KubeError> {
    let connector = Connect { link, tls: Arc::new(tls(conf)?) };
    let hyper = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .http2_only(true)
        .timer(TokioTimer::new())
        .http2_keep_alive_interval(Duration::from_secs(5))
        .http2_keep_alive_timeout(Duration::from_secs(10))
        .http2_keep_alive_while_idle(true)
        .build::<_, Body>(connector);
    let base = Uri::from_static("https://kubernetes:6443");
    let asked = service_fn(move |request: http::Request<Body>| {
        let (what, answer) = (request.method().to_string(), hyper.request(request));
        async move {
            match tokio::time::timeout(ANSWER, answer).await {
                Ok(answer) => answer.map_err(BoxError::from),
                Err(_) => Err(KubeError::Timeout { what, after: ANSWER }.into()),
            }
        }
    });
    Ok(Client::new(ServiceBuilder::new().layer(BaseUriLayer::new(base)).service(asked), "default"))
}

fn tls(conf: &AdminConf) -> Result<ClientConfig, KubeError> {
    let bad = |what: &str| KubeError::AdminConf(format!("{what} cannot be used for TLS"));
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(conf.ca.as_bytes()) {
        roots.add(certificate.map_err(|_| bad("its authority"))?).map_err(|_| bad("its authority"))?;
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(conf.certificate.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(conf.key.expose().as_bytes()).map_err(|_| bad("its key"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| bad("this program's cipher list"))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain.map_err(|_| bad("its certificate"))?, key)
        .map_err(|_| bad("its certificate and key"))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// Opens a stream with TLS to the first API server that lets it.
#[derive(Clone)]
struct Connect {
    link: Arc<Link>,
    tls: Arc<ClientConfig>,
}

impl Connect {
    async fn connect(self, uri: Uri) -> Result<MaybeHttpsStream<TokioIo<Wire>>, BoxError> {
        let mut tried = Vec::new();
        for route in self.link.order() {
            match self.connect_by(route, uri.clone()).await {
                Ok(stream) => {
                    self.link.serves(route);
                    return Ok(stream);
                }
                Err(reason) => tried.push((self.link.node(route).clone(), reason)),
            }
        }
        Err(KubeError::Unreachable { tried }.into())
    }

    async fn connect_by(&self, route: usize, uri: Uri) -> Result<MaybeHttpsStream<TokioIo<Wire>>, String> {
        // The transport has limits of its own for all of this.
        let stream = self.link.dial(route).await.map_err(|error| error.to_string())?;
        let mut wire = Some(TokioIo::new(Wire(stream)));
        let once = service_fn(move |_: Uri| {
            let wire = wire.take().ok_or_else(|| io::Error::other("a second stream"));
            async move { wire }
        });
        let name = ServerName::try_from(SERVER_NAME).expect("a DNS name");
        let resolver = Arc::new(FixedServerNameResolver::new(name));
        let mut https = HttpsConnector::new(once, Arc::clone(&self.tls), true, resolver);
        match tokio::time::timeout(HANDSHAKE, https.call(uri)).await {
            Ok(outcome) => outcome.map_err(|error| format!("no TLS with the API server: {error}")),
            Err(_) => Err(format!("no TLS with the API server within {} s", HANDSHAKE.as_secs())),
        }
    }
}

impl Service<Uri> for Connect {
    type Response = MaybeHttpsStream<TokioIo<Wire>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// The stream, as hyper wants connections to be.
struct Wire(Stream);

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
