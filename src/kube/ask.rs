//! Asking a cluster what it is.

use std::sync::Arc;

use super::{AdminConf, Answer, Link, client, view};
use crate::model::live::ObjectRef;
use crate::model::secret::Secret;

/// Asks the API that the link leads to, with the credentials that a control plane's observation brought along.
///
/// Whatever goes wrong is [`Answer::Failed`]: it is for [`classify`](super::classify) to say what that means.
pub async fn ask(link: Arc<Link>, admin_conf: Option<&Secret<String>>, asked: &[ObjectRef]) -> Answer {
    let Some(text) = admin_conf else { return Answer::NotAsked };
    let answer = async { view(&client(link, &AdminConf::parse(text)?)?, asked).await };
    match answer.await {
        Ok(live) => Answer::Said(Box::new(live)),
        Err(error) => Answer::Failed(error.to_string()),
    }
}
