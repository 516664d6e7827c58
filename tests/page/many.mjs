// A snapshot of a large host: as many tasks and functions as there may be.

import { recorded } from './server.mjs';

export function manyTasks() {
  const snapshot = recorded('stalled');
  const [calm, moving] = snapshot.patches;
  const [kthread, thread] = moving.transition.blockers;
  const reasons = ['running', 'unreliable_stack', 'no_unwind_data', 'uninterruptible', 'kvm_vcpu', 'waiting_for_signal', 'pending', null];
  moving.transition.blockers = Array.from({ length: 5000 }, (_, nth) => ({
    ...(nth % 50 === 0 ? kthread : thread),
    tid: 2000 + nth,
    tgid: 2000 + (nth % 50 === 0 ? nth : nth - (nth % 7)),
    reason: nth % 50 === 0 ? kthread.reason : reasons[nth % reasons.length],
  }));
  moving.transition.tasks_remaining = 5000;
  moving.transition.tasks_total = 12_000;
  const [fn] = calm.objects[1].functions;
  calm.objects[1].functions = Array.from({ length: 1000 }, (_, nth) => ({ ...fn, name: `function_${nth}` }));
  return snapshot;
}
