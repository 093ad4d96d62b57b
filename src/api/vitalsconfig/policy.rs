//! Who may ask for what, and who may call.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::spec::SecretKeyRef;

/// Who may ask for which checks, and how often a target may be asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckPolicySpec {
    /// Most requests a second to one address and port, over all nodes; default 50 (no limit in `vitals run`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub target_rate: Option<i32>,
    /// Most requests a second of one namespace's checks; default 200 (no limit in `vitals run`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub namespace_rate: Option<i32>,
    /// Namespaces whose kubernetes checks may look into other namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(min = 1, max = 63)))]
    pub cross_namespace: Vec<String>,
}

/// Who may see which series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RulePolicySpec {
    /// Rules of namespaces that are not trusted see only series of their own namespace; false lets them see all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restrict: Option<bool>,
}

/// What checks, receivers and exports may dial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicySpec {
    /// Networks (CIDR) that are never dialled, beside the built-in ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 200),
        inner(length(min = 2, max = 64), regex(pattern = r"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$"))
    )]
    pub deny: Vec<String>,
    /// Networks (CIDR) that may be dialled although denied; the more exact entry wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 200),
        inner(length(min = 2, max = 64), regex(pattern = r"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$"))
    )]
    pub allow: Vec<String>,
}

/// Who may call the HTTP API.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.tokenSecretKeyRef) || (has(self.mode) && self.mode == 'token')").message("tokenSecretKeyRef goes with mode: token").field_path(".tokenSecretKeyRef"))]
pub struct AuthSpec {
    /// How callers are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<AuthMode>,
    /// The token that callers present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_key_ref: Option<SecretKeyRef>,
}

/// How callers are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// Not at all; only on loopback.
    None,
    /// By a token.
    Token,
    /// By a client certificate.
    Mtls,
    /// By a Kubernetes token.
    Kubernetes,
}

/// The HTTP API's certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsServerSpec {
    /// A Secret of type `kubernetes.io/tls`, instead of our own CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: Option<String>,
    /// Plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}
