//! A client certificate for somebody, signed by the cluster for a while.

use std::time::Duration;

use ::kube::Client;
use ::kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestSpec,
    CertificateSigningRequestStatus,
};
use tokio::time::{Instant, sleep};

use super::KubeError;

/// kube-controller-manager takes ten seconds before it signs.
const SIGNED_WITHIN: Duration = Duration::from_secs(60);

/// Has a request (PEM) of `user` signed by the signer `kubernetes.io/kube-apiserver-client`, for at least ten minutes: the
/// authority's key stays where it is, and the API server's audit log tells who was let in. Gives the certificate, PEM.
///
/// # Errors
/// The API refuses the request (`system:masters` is never signed so), or nobody signs it in time.
pub async fn user_certificate(client: &Client, user: &str, request: &str, ttl: Duration) -> Result<String, KubeError> {
    let what = || format!("have a certificate signed for {user}");
    let broken = |cause: String| KubeError::Broken { what: what(), cause };
    let api: Api<CertificateSigningRequest> = Api::all(client.clone());
    let object = CertificateSigningRequest {
        metadata: ObjectMeta { generate_name: Some("kbootstrap-user-".into()), ..ObjectMeta::default() },
        spec: CertificateSigningRequestSpec {
            request: ByteString(request.as_bytes().to_vec()),
            signer_name: "kubernetes.io/kube-apiserver-client".into(),
            usages: Some(vec!["client auth".into()]),
            expiration_seconds: Some(i32::try_from(ttl.as_secs()).unwrap_or(i32::MAX)),
            ..CertificateSigningRequestSpec::default()
        },
        status: None,
    };
    let made = api.create(&PostParams::default(), &object).await.map_err(|error| KubeError::new(what(), error))?;
    let id = made.metadata.name.clone().unwrap_or_default();
    let signed = signed(&api, &id, made).await.map_err(|error| KubeError::new(what(), error));
    // It holds nothing that is secret, and would be swept away after an hour.
    let _ = api.delete(&id, &DeleteParams::default()).await;
    signed?.ok_or_else(|| broken(format!("nobody signed it within {} s", SIGNED_WITHIN.as_secs())))
}

async fn signed(
    api: &Api<CertificateSigningRequest>,
    id: &str,
    mut object: CertificateSigningRequest,
) -> Result<Option<String>, ::kube::Error> {
    let condition = CertificateSigningRequestCondition {
        type_: "Approved".into(),
        status: "True".into(),
        reason: Some("Operator".into()),
        message: Some("kbootstrap kubeconfig --user".into()),
        ..CertificateSigningRequestCondition::default()
    };
    object.status = Some(CertificateSigningRequestStatus {
        conditions: Some(vec![condition]),
        ..CertificateSigningRequestStatus::default()
    });
    api.replace_subresource::<CertificateSigningRequest>("approval", id, &PostParams::default(), &object).await?;
    let end = Instant::now() + SIGNED_WITHIN;
    while Instant::now() < end {
        sleep(Duration::from_millis(500)).await;
        let certificate = api.get(id).await?.status.and_then(|status| status.certificate);
        if let Some(ByteString(bytes)) = certificate {
            return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    Ok(None)
}
