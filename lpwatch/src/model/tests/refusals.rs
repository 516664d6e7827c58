//! Modules that the kernel refuses to load because of a patch.

use super::*;

fn module_refused(seconds: f64, cause: Option<&str>) -> (f64, EventKind) {
    let kind = EventKind::ObjectRefused {
        patch: PATCH.to_owned(),
        object: "nfsd".to_owned(),
        errno: Some(22),
        cause: cause.map(str::to_owned),
    };
    (seconds, kind)
}

/// [`PATCH`] with a module that is patched, or not loaded.
fn with_module(patched: bool) -> PatchView {
    let mut patch = patch(true, false);
    patch.objects.push(ObjectView {
        name: "nfsd".to_owned(),
        patched: Some(patched),
        functions: vec![("f".to_owned(), 1)],
    });
    patch
}

fn times_refused(model: &Model, seconds: f64) -> Option<u32> {
    let snapshot = snapshot(model, seconds);
    let mut objects = snapshot.patches[0].objects.iter();
    let module = objects.find(|object| object.name == "nfsd").unwrap();
    module.refusal.as_ref().map(|refused| refused.times)
}

#[test]
fn a_module_that_a_patch_does_not_fit_is_no_refused_patch() {
    let text = "symbol 'gone' not found in symbol table";
    for hooks in [None, Some(0)] {
        let mut model = model(hooks);
        observe(&mut model, 100.0, &[with_module(false)]);
        let complaint = EventKind::Complaint {
            patch: None,
            text: text.to_owned(),
        };
        log(&mut model, 101.0, complaint);
        // The lines were read one by one.
        let (seconds, kind) = module_refused(101.01, None);
        log(&mut model, seconds, kind);
        let shown = snapshot(&model, 102.0);
        assert_eq!(shown.last_transitions, [], "{hooks:?}");
        let object = shown.patches[0].objects.last().unwrap();
        let refused = object.refusal.clone().unwrap();
        assert_eq!((refused.errno, refused.times), (Some(22), 1));
        assert_eq!(refused.cause.as_deref(), Some(text), "{hooks:?}");
    }
}

#[test]
fn a_module_is_refused_until_it_loads_or_the_patch_is_another() {
    let mut model = model(Some(0));
    observe(&mut model, 100.0, &[with_module(false)]);
    for (seconds, kind) in [module_refused(101.0, None), module_refused(102.0, None)] {
        log(&mut model, seconds, kind);
    }
    // A reading that began before it shows nothing of it.
    observe(&mut model, 101.5, &[with_module(true)]);
    observe(&mut model, 103.0, &[with_module(false)]);
    assert_eq!(times_refused(&model, 103.0), Some(2));
    observe(&mut model, 104.0, &[with_module(true)]);
    assert_eq!(times_refused(&model, 104.0), None);

    let (seconds, kind) = module_refused(105.0, None);
    log(&mut model, seconds, kind);
    observe(&mut model, 106.0, &[with_module(false)]);
    assert_eq!(times_refused(&model, 106.0), Some(1));
    // A disabled patch is not applied to modules.
    let mut disabled = with_module(false);
    disabled.enabled = Some(false);
    observe(&mut model, 107.0, &[disabled]);
    assert_eq!(times_refused(&model, 107.0), None);
    hook(&mut model, 108.0, begin(Direction::Patching));
    observe(&mut model, 109.0, &[with_module(false)]);
    assert_eq!(times_refused(&model, 109.0), None);
}
