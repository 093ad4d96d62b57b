//! Receivers: one message about one group of alerts, handed to where people look.
//!
//! [`Sender`] makes one attempt and says whether another would help; when and how often to try again is the desk's
//! business.

mod body;
mod error;
mod log;
mod webhook;

use crate::model::fleet_plan::Integration;
use crate::model::notification::Notification;
use crate::net::http::Client;

pub use error::NotifyError;

/// Sends notifications. Cheap to clone.
#[derive(Clone)]
pub struct Sender {
    client: Client,
    external_url: String,
}

impl Sender {
    /// `external_url` is where people reach this installation's page; empty when unknown.
    #[must_use]
    pub fn new(client: Client, external_url: &str) -> Self {
        Self { client, external_url: external_url.to_owned() }
    }

    /// Makes one attempt. A new kind of receiver is one file and one line here.
    ///
    /// # Errors
    /// It was not taken; [`NotifyError::retryable`] says whether another attempt may help.
    pub async fn send(&self, integration: &Integration, notification: &Notification) -> Result<(), NotifyError> {
        match integration {
            Integration::Log { level } => {
                log::write(level, notification);
                Ok(())
            }
            Integration::Webhook { url, headers, timeout, template } => {
                let target = webhook::Target { url, headers, timeout: timeout.std(), template: template.as_deref() };
                webhook::post(&self.client, &target, notification, &self.external_url).await
            }
        }
    }
}

#[cfg(test)]
mod tests;
