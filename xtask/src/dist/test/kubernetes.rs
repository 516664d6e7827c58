//! The manifests of deploy/kubernetes, held against the types of the Kubernetes
//! API: a field that is unknown there, or of another type, is found.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Container, Namespace, Service, ServiceAccount};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::dist::oci;
use crate::paths;

fn folder() -> PathBuf {
    paths::workspace().join("deploy/kubernetes")
}

fn read(name: &str) -> Value {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The manifest as the API's type, which must have a place for all of it.
fn typed<T: DeserializeOwned + Serialize>(name: &str) -> T {
    let value = read(name);
    let typed: T =
        serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut lost = Vec::new();
    compare(
        &value,
        &serde_json::to_value(&typed).unwrap(),
        "",
        &mut lost,
    );
    assert!(lost.is_empty(), "{name}: the API does not know {lost:?}");
    typed
}

/// Paths of what is in `given` and not in `kept`.
fn compare(given: &Value, kept: &Value, path: &str, lost: &mut Vec<String>) {
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => {
            for (name, value) in given {
                let path = format!("{path}.{name}");
                match kept.get(name) {
                    Some(kept) => compare(value, kept, &path, lost),
                    None => lost.push(path),
                }
            }
        }
        (Value::Array(given), Value::Array(kept)) if given.len() == kept.len() => {
            for (at, (given, kept)) in given.iter().zip(kept).enumerate() {
                compare(given, kept, &format!("{path}[{at}]"), lost);
            }
        }
        (given, kept) if given == kept => {}
        _ => lost.push(path.to_owned()),
    }
}

fn daemon_set() -> (DaemonSet, Container) {
    let set: DaemonSet = typed("daemonset.yaml");
    let pod = set.spec.clone().unwrap().template.spec.unwrap();
    let container = pod.containers.into_iter().next().unwrap();
    (set, container)
}

#[test]
fn every_manifest_is_of_the_api() {
    let namespace: Namespace = typed("namespace.yaml");
    let account: ServiceAccount = typed("serviceaccount.yaml");
    let (set, _) = daemon_set();
    let name = namespace.metadata.name;
    assert_eq!(account.metadata.namespace, name);
    assert_eq!(set.metadata.namespace, name);
    let pod = set.spec.unwrap().template.spec.unwrap();
    assert_eq!(pod.service_account_name, account.metadata.name);
    assert_eq!(account.automount_service_account_token, Some(false));
}

#[test]
fn what_the_api_does_not_know_is_found() {
    let given = serde_json::json!({"spec": {"hostPID": true, "hostPid": true, "n": [1, 2]}});
    let kept = serde_json::json!({"spec": {"hostPID": true, "n": [1, 3], "more": 1}});
    let mut lost = Vec::new();
    compare(&given, &kept, "", &mut lost);
    assert_eq!(lost, [".spec.hostPid", ".spec.n[1]"]);
}

#[test]
fn labels_and_ports_fit_together() {
    let (set, container) = daemon_set();
    let spec = set.spec.unwrap();
    let labels: BTreeMap<_, _> = spec.template.metadata.unwrap().labels.unwrap();
    assert_eq!(spec.selector.match_labels, Some(labels.clone()));
    let service: Service = typed("service.yaml");
    let service = service.spec.unwrap();
    assert_eq!(service.selector, Some(labels.clone()));
    let ports = container.ports.unwrap();
    let monitor = read("podmonitor.yaml");
    let selected = &monitor["spec"]["selector"]["matchLabels"];
    assert_eq!(*selected, serde_json::to_value(&labels).unwrap());
    let scraped = &monitor["spec"]["podMetricsEndpoints"][0]["port"];
    assert_eq!(*scraped, ports[0].name.as_deref().unwrap());
    assert_eq!(service.ports.unwrap()[0].port, ports[0].container_port);
    for probe in [
        container.liveness_probe,
        container.readiness_probe,
        container.startup_probe,
    ] {
        let asked = probe.unwrap().http_get.unwrap();
        assert_eq!(serde_json::to_value(asked.port).unwrap(), *scraped);
        assert!(["/-/healthy", "/-/ready"].contains(&asked.path.as_deref().unwrap()));
    }
}

#[test]
fn it_runs_the_image_of_this_version() {
    let (_, container) = daemon_set();
    assert_eq!(
        container.image.as_deref(),
        Some(concat!("lpwatch:", env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(container.args.unwrap(), oci::COMMAND);
    assert_eq!(container.command, None, "the image's own");
}

/// Measured for the unit; a container needs no more.
#[test]
fn it_has_the_rights_of_the_unit() {
    let (set, container) = daemon_set();
    let context = container.security_context.unwrap();
    assert_eq!(context.privileged, Some(false));
    assert_eq!(context.allow_privilege_escalation, Some(false));
    assert_eq!(context.read_only_root_filesystem, Some(true));
    let capabilities = context.capabilities.unwrap();
    assert_eq!(capabilities.drop.unwrap(), ["ALL"]);
    let mut added: Vec<_> = capabilities.add.unwrap();
    added.sort();
    let mut wanted = super::rights::all().unwrap();
    for name in &mut wanted {
        *name = name.trim_start_matches("CAP_").to_owned();
    }
    wanted.sort();
    assert_eq!(added, wanted);
    assert_eq!(
        set.spec.unwrap().template.spec.unwrap().host_pid,
        Some(true)
    );
}

#[test]
fn kustomize_finds_its_files() {
    let listed = read("kustomization.yaml");
    for name in listed["resources"].as_array().unwrap() {
        assert!(folder().join(name.as_str().unwrap()).is_file(), "{name}");
    }
}
