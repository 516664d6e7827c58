//! The kernel's verdicts, read from the hooks' maps.

use std::time::Duration;

use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, PerCpuArray},
};
use lpwatch_common::{
    decode,
    verdict::{
        SWITCHED_CHECKED, SWITCHED_FORCED, SWITCHED_IDLE, SWITCHED_USER_RETURN, VERDICT_RECORD_LEN,
        VerdictRecord,
    },
};

use crate::model::{KernelAnswer, evidence::Answers, snapshot::SwitchedBy};

use super::{ProbeError, records::text};

/// The kernel tries once a second; an older answer is not about the present.
const FRESH: Duration = Duration::from_secs(4);

/// The maps of the verdict hooks.
pub(super) struct Verdicts {
    answers: HashMap<MapData, u32, [u8; VERDICT_RECORD_LEN]>,
    generation: Array<MapData, u32>,
    switched: PerCpuArray<MapData, u64>,
}

impl Verdicts {
    pub fn new(bpf: &mut Ebpf) -> Result<Self, ProbeError> {
        let mut map = |name: &str| {
            bpf.take_map(name).ok_or_else(|| ProbeError::Failed {
                action: "open the BPF maps",
                reason: format!("the object has no `{name}`"),
            })
        };
        let (answers, generation, switched) =
            (map("VERDICTS")?, map("GENERATION")?, map("SWITCHED")?);
        let fail = |error| ProbeError::new("open the BPF maps", &error);
        Ok(Self {
            answers: HashMap::try_from(answers).map_err(fail)?,
            generation: Array::try_from(generation).map_err(fail)?,
            switched: PerCpuArray::try_from(switched).map_err(fail)?,
        })
    }

    /// The kernel's latest and recent answers about the task, in this
    /// transition.
    pub fn of(&self, tid: u32, now: Duration) -> Option<Answers> {
        let record = decode::<VerdictRecord>(&self.answers.get(&tid, 0).ok()?)?;
        if record.generation != self.generation.get(&0, 0).ok()? {
            return None;
        }
        answers(&record, now)
    }

    /// Tasks switched, by way, since the hooks were attached.
    pub fn switched(&self) -> SwitchedBy {
        let count = |way| {
            self.switched
                .get(&way, 0)
                .map_or(0, |counts| counts.iter().sum())
        };
        SwitchedBy {
            checked: count(SWITCHED_CHECKED),
            user_return: count(SWITCHED_USER_RETURN),
            idle: count(SWITCHED_IDLE),
            forced: count(SWITCHED_FORCED),
        }
    }
}

/// `None` for an answer that this build does not know, or that is too old.
fn answers(record: &VerdictRecord, now: Duration) -> Option<Answers> {
    let answer = match record.code {
        -98 => KernelAnswer::SleepingOnFunction,
        -16 => KernelAnswer::Running,
        -22 => KernelAnswer::UnreliableStack,
        _ => return None,
    };
    let last = Duration::from_nanos(record.last_ns);
    if now.saturating_sub(last) > FRESH {
        return None;
    }
    let function = text(&record.function);
    Some(Answers {
        answer,
        function: (!function.is_empty()).then_some(function),
        tries: record.tries,
        first: Duration::from_nanos(record.first_ns),
        last,
    })
}
