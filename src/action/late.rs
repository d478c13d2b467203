//! Late inputs: what becomes known, or is made, only in the run.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use super::genesis::Genesis;
use super::token::{self, Token};
use super::{ActionError, Actions, Fresh, found, os_rng};
use crate::inventory::credentials;
use crate::kube::{KubeError, view};
use crate::model::facts::ClusterIdentity;
use crate::model::name::NodeName;
use crate::model::op::Late;
use crate::model::secret::Secret;
use crate::pki::{Authorities, Pair, SharedFile, SharedPath};
use crate::render;

/// A stored token is made good again when it is asked for after this long: a join never gets one about to expire.
const RENEW: Duration = Duration::from_secs(5 * 60);

const NEXT: &str = "find or make the authorities that take the place of the present ones";

/// One file of a late input, by the name that [`Late`] gives it.
#[derive(Clone, Debug)]
pub struct LateContent {
    pub name: String,
    pub content: Secret<Vec<u8>>,
}

impl LateContent {
    pub(super) fn new(name: impl Into<String>, content: &str) -> Self {
        Self { name: name.into(), content: Secret::new(content.as_bytes().to_vec()) }
    }
}

impl Actions {
    /// The files of a late input for this node.
    ///
    /// While a cluster is formed, nodes other than its leader wait until the leader has what they get too
    /// ([`Actions::founded`]); and a token for them waits for the API ([`Actions::api_ready`]).
    ///
    /// # Errors
    /// Where it can neither be read from a control plane nor be made.
    pub async fn late(&self, late: Late, node: &NodeName) -> Result<Vec<LateContent>, ActionError> {
        let leads = self.setup.forming.as_ref() == Some(node);
        if !leads && late != Late::JoinToken {
            let _ = self.founded.subscribe().wait_for(|founded| *founded).await;
        }
        Ok(match late {
            Late::SharedPki => {
                let files = self.genesis().await?.authorities.files();
                files.iter().map(|file| LateContent::new(format!("pki/{}", file.path), file.content.expose())).collect()
            }
            Late::ClusterCa => vec![LateContent::new("ca.crt", &self.ca().await?)],
            Late::Identity => vec![LateContent::new("cluster.toml", &render::identity::text(&self.identity().await?))],
            Late::EtcdMember => {
                let etcd = &self.genesis().await?.authorities.etcd;
                let mut files = self.member(etcd, node)?;
                files.push(LateContent::new("etcd/ca.crt", &etcd.certificate));
                files
            }
            Late::NextEtcdMember => self.member(&self.next_etcd().await?, node)?,
            Late::S3Key => vec![LateContent::new("s3", self.s3_key()?.expose())],
            Late::NextPki => {
                let files = self.next().await?;
                files
                    .iter()
                    .map(|file| LateContent::new(format!("next/{}", file.path), file.content.expose()))
                    .collect()
            }
            Late::JoinToken => vec![LateContent::new("token", self.token(leads).await?.expose())],
            Late::Encryption(keys) => self.encryption(keys).await?,
        })
    }

    /// Certificate and key of a node's member of etcd, signed by this authority.
    fn member(&self, etcd: &Pair, node: &NodeName) -> Result<Vec<LateContent>, ActionError> {
        let addresses = self.setup.addresses.get(node).map(Vec::as_slice).unwrap_or_default();
        let signed = crate::pki::member(etcd, node, addresses, OffsetDateTime::now_utc(), &mut os_rng());
        let pair = signed.map_err(|error| {
            ActionError::new(format!("sign the certificate of {node}'s member of etcd"), error.to_string())
        })?;
        Ok(vec![
            LateContent::new("etcd/member.crt", &pair.certificate),
            LateContent::new("etcd/member.key", pair.key.expose()),
        ])
    }

    /// The key of the S3 account, from the operator's own file.
    fn s3_key(&self) -> Result<Secret<String>, ActionError> {
        let what = "read the key of the S3 account";
        let path = self.setup.s3_key.as_ref().ok_or_else(|| ActionError::new(what, "the inventory names no file"))?;
        credentials::read(path).map_err(|why| ActionError::new(what, why))
    }

    /// Authorities and identity, made or read once in a run.
    async fn genesis(&self) -> Result<&Genesis, ActionError> {
        self.genesis
            .get_or_try_init(async || {
                let link = &self.session.link;
                if let Some(leader) = &self.setup.forming {
                    let found = found::read(link, leader).await?;
                    return Genesis::form(leader, &self.setup.cluster, found, OffsetDateTime::now_utc(), &mut os_rng());
                }
                let known = self.known_identity().await?;
                let mut outcome = Err(ActionError::new("read the authorities", "there is no control plane to ask"));
                for node in link.nodes() {
                    outcome = match found::read(link, &node).await {
                        Ok(found) => Genesis::take(&node, found, known.as_ref(), OffsetDateTime::now_utc()),
                        Err(error) => Err(error),
                    };
                    if outcome.is_ok() {
                        break;
                    }
                }
                outcome
            })
            .await
    }

    /// The authorities that shall take the place of the present ones: those that any control plane keeps already, else new
    /// ones.
    async fn next(&self) -> Result<&Vec<SharedFile>, ActionError> {
        self.next
            .get_or_try_init(async || {
                if let Some(kept) = self.kept().await? {
                    return Ok(kept);
                }
                let made = Authorities::generate(OffsetDateTime::now_utc(), &mut os_rng());
                let mut files = made.map_err(|error| ActionError::new(NEXT, error))?.files();
                files.retain(|file| !matches!(file.path, SharedPath::SaKey | SharedPath::SaPub));
                Ok(files)
            })
            .await
    }

    /// Those that control planes keep; absent where none does. All of them must answer, and keep the same.
    async fn kept(&self) -> Result<Option<Vec<SharedFile>>, ActionError> {
        let link = &self.session.link;
        let mut kept: Option<Vec<SharedFile>> = None;
        for node in link.nodes() {
            let there = found::read_next(link, &node).await?;
            if there.is_empty() {
                continue;
            }
            if kept.as_ref().is_some_and(|kept| *kept != there) {
                return Err(ActionError::new(NEXT, format!("{node} keeps others than another control plane does")));
            }
            kept = Some(there);
        }
        Ok(kept)
    }

    /// The authority of etcd among those that are kept. It is never made here: who trusts it was told before.
    async fn next_etcd(&self) -> Result<Pair, ActionError> {
        let kept = self.kept().await?.unwrap_or_default();
        let content = |path: SharedPath| {
            let file = kept.iter().find(|file| file.path == path);
            file.map(|file| file.content.clone())
                .ok_or_else(|| ActionError::new(NEXT, format!("no control plane keeps a new {path}")))
        };
        let certificate = content(SharedPath::EtcdCaCrt)?.expose().clone();
        Ok(Pair { certificate, key: content(SharedPath::EtcdCaKey)? })
    }

    /// A living cluster's identity as it was told, or else as the API has it.
    async fn known_identity(&self) -> Result<Option<ClusterIdentity>, ActionError> {
        if self.setup.identity.is_some() {
            return Ok(self.setup.identity.clone());
        }
        let asked = self.session.call(|client| async move { view::identity(&client).await });
        asked.await.map_err(ActionError::of("read the cluster's identity"))
    }

    pub(super) async fn identity(&self) -> Result<ClusterIdentity, ActionError> {
        match (&self.setup.forming, &self.setup.identity) {
            (None, Some(identity)) => Ok(identity.clone()),
            _ => Ok(self.genesis().await?.identity.clone()),
        }
    }

    async fn ca(&self) -> Result<String, ActionError> {
        if self.setup.forming.is_some() {
            return Ok(self.genesis().await?.authorities.kubernetes.certificate.clone());
        }
        let conf = self.session.conf().await;
        Ok(conf.map_err(ActionError::of("read the cluster's authority"))?.ca)
    }

    /// The run's token. The leader gets it before there is an API: its init stores it. For everybody else it is stored
    /// by the API, so that it is good for the quarter of an hour to come.
    async fn token(&self, leads: bool) -> Result<Secret<String>, ActionError> {
        if leads && !*self.api.borrow() {
            let mut fresh = self.token.lock().await;
            let fresh = fresh.get_or_insert_with(|| Fresh { token: Token::generate(&mut os_rng()), stored: None });
            return Ok(fresh.token.text());
        }
        let _ = self.api.subscribe().wait_for(|ready| *ready).await;
        // Held over the call: joins that begin together store it once.
        let mut fresh = self.token.lock().await;
        let fresh = fresh.get_or_insert_with(|| Fresh { token: Token::generate(&mut os_rng()), stored: None });
        if fresh.stored.is_none_or(|stored| stored.elapsed() > RENEW) {
            let token = &fresh.token;
            let stored = self.session.call(|client| token.store(client, OffsetDateTime::now_utc())).await;
            stored.map_err(ActionError::of("make a token for joining"))?;
            fresh.stored = Some(Instant::now());
        }
        Ok(fresh.token.text())
    }

    /// Removes the run's token, and those that earlier runs left.
    pub(super) async fn delete_tokens(&self) -> Result<Vec<String>, ActionError> {
        let mut fresh = self.token.lock().await;
        let ours = fresh.as_ref().map(|fresh| fresh.token.id.clone());
        let deleted = self.session.call(|client| async {
            let client = client;
            let mut ids = view::tokens(&client).await?;
            ids.extend(ours.clone());
            ids.sort();
            ids.dedup();
            token::delete(client, &ids).await?;
            Ok::<_, KubeError>(ids.len())
        });
        let count = deleted.await.map_err(ActionError::of("remove bootstrap tokens"))?;
        *fresh = None;
        Ok(vec![format!("bootstrap tokens removed: {count}")])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base64::{Engine, prelude::BASE64_STANDARD};
    use futures::FutureExt;

    use super::*;
    use crate::action::Setup;
    use crate::kube::Route;
    use crate::model::name::ClusterName;
    use crate::model::ssh::SshTarget;
    use crate::transport::fake::{FakeConnector, FakeNode, says};

    fn name(text: &str) -> NodeName {
        NodeName::new(text).unwrap()
    }

    /// A run that forms a cluster on cp1, which answers this when it is asked for what it has.
    fn forming(has: &str) -> Actions {
        let leader = FakeNode::new("cp1").on_observe("/etc/kubernetes/pki", says(has));
        let setup = Setup {
            cluster: ClusterName::new("lab").unwrap(),
            forming: Some(name("cp1")),
            routes: vec![Route { node: name("cp1"), target: SshTarget::new("cp1", "cp1") }],
            fleet: Default::default(),
            addresses: Default::default(),
            admin_conf: None,
            identity: None,
            s3_key: None,
        };
        Actions::new(Arc::new(FakeConnector::to([leader])), setup).unwrap()
    }

    async fn files(actions: &Actions, late: Late) -> Vec<LateContent> {
        actions.late(late, &name("cp1")).await.unwrap()
    }

    #[tokio::test]
    async fn what_an_unfinished_run_left_is_handed_out_again() {
        let first = forming("");
        let lines: String = files(&first, Late::SharedPki)
            .await
            .iter()
            .chain(&files(&first, Late::Identity).await)
            .map(|file| {
                let name = file.name.strip_prefix("pki/").unwrap_or("identity");
                format!("{name} {}\n", BASE64_STANDARD.encode(file.content.expose()))
            })
            .collect();
        let second = forming(&lines);
        for late in [Late::SharedPki, Late::Identity, Late::ClusterCa] {
            let bytes = |files: Vec<LateContent>| -> Vec<(String, Secret<Vec<u8>>)> {
                files.into_iter().map(|file| (file.name, file.content)).collect()
            };
            assert_eq!(bytes(files(&first, late).await), bytes(files(&second, late).await), "{late:?}");
        }
    }

    #[tokio::test]
    async fn others_wait_until_the_leader_holds_what_they_get() {
        let actions = forming("");
        let other = name("w1");
        for late in [Late::SharedPki, Late::ClusterCa, Late::Identity] {
            assert!(actions.late(late, &other).now_or_never().is_none(), "{late:?}");
        }
        let leaders = files(&actions, Late::Identity).await;
        actions.founded();
        let others = actions.late(Late::Identity, &other).await.unwrap();
        assert_eq!(others[0].content, leaders[0].content);
        // The leader's init brings the token; for others it waits for the API that keeps it.
        assert_eq!(files(&actions, Late::JoinToken).await[0].content.expose().len(), 23);
        assert!(actions.late(Late::JoinToken, &other).now_or_never().is_none());
    }

    /// A run in a cluster that lives, whose only control plane keeps these authorities to take the place of the present ones.
    fn exchanging(kept: &str) -> Actions {
        let node = FakeNode::new("cp1").on_observe("/etc/kubernetes/pki/rotation/new", says(kept));
        let routes = vec![Route { node: name("cp1"), target: SshTarget::new("cp1", "cp1") }];
        let addresses = [(name("w1"), vec!["10.0.0.21".parse().unwrap()])].into();
        let setup = Setup {
            cluster: ClusterName::new("lab").unwrap(),
            forming: None,
            routes,
            fleet: Default::default(),
            addresses,
            admin_conf: None,
            identity: None,
            s3_key: None,
        };
        Actions::new(Arc::new(FakeConnector::to([node])), setup).unwrap()
    }

    #[tokio::test]
    async fn a_member_gets_a_certificate_of_the_authority_that_is_kept_and_of_no_other() {
        let new = Authorities::generate(OffsetDateTime::now_utc(), &mut os_rng()).unwrap();
        let line = |file: SharedFile| format!("{} {}\n", file.path, BASE64_STANDARD.encode(file.content.expose()));
        let kept: String = new.files().into_iter().map(line).collect();
        let files = exchanging(&kept).late(Late::NextEtcdMember, &name("w1")).await.unwrap();
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["etcd/member.crt", "etcd/member.key"]);
        let read = |text: &str| crate::pki::bundle(text).unwrap().remove(0);
        let own = read(std::str::from_utf8(files[0].content.expose()).unwrap());
        assert!(read(&new.etcd.certificate).signed(&own));
        let none = exchanging("").late(Late::NextEtcdMember, &name("w1")).await.unwrap_err();
        assert_eq!(none.cause, "no control plane keeps a new etcd/ca.crt");
    }
}
