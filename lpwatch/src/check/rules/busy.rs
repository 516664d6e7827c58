//! Another transition is in progress.

use crate::{
    check::CheckContext,
    model::{
        check::{CheckFinding, LoadRefusal},
        snapshot::Severity,
    },
};

use super::{Rule, errno::EBUSY};

pub(super) const RULE: Rule = Rule {
    id: "busy",
    title: "no other transition is in progress",
    background: "\
The kernel allows one transition at a time. While another patch is being enabled or disabled, \
loading a patch fails with EBUSY, even if the two patches change different functions.",
    sources: &["kernel/livepatch/core.c, __klp_enable_patch (5.10 to 7.3)"],
    judge,
};

fn judge(context: &CheckContext<'_>) -> Vec<CheckFinding> {
    if context.is_loaded {
        return Vec::new();
    }
    let patches = context.facts.patches.iter().flatten();
    let busy = patches.filter(|patch| patch.in_transition);
    let found = busy.map(|patch| CheckFinding {
        rule: RULE.id.to_owned(),
        severity: Severity::Danger,
        text: format!(
            "{} is in transition: the kernel would refuse this patch (EBUSY).",
            patch.name
        ),
        evidence: vec![format!(
            "/sys/kernel/livepatch/{}/transition is 1",
            patch.name
        )],
        remedy: vec![
            format!(
                "Wait for that transition to end: lpwatch wait {}",
                patch.name
            ),
            "If it is stalled, see its blockers: lpwatch tasks".to_owned(),
        ],
        refusal: Some(LoadRefusal { errno: EBUSY }),
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check::facts::CheckFacts, check::rules::samples, model::PatchView};

    fn judged(patches: Vec<PatchView>) -> Vec<CheckFinding> {
        let facts = CheckFacts {
            patches: Some(patches),
            ..CheckFacts::default()
        };
        judge(&samples::context(&samples::patch(&["f"]), &facts))
    }

    #[test]
    fn only_a_transition_is_in_the_way() {
        assert!(judged(Vec::new()).is_empty());
        assert!(judged(vec![samples::loaded("p", &["f"])]).is_empty());
        let mut moving = samples::loaded("p", &["f"]);
        moving.in_transition = true;
        let found = judged(vec![samples::loaded("q", &[]), moving]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].refusal, Some(LoadRefusal { errno: EBUSY }));
        assert!(found[0].text.starts_with("p is"), "{}", found[0].text);
    }
}
