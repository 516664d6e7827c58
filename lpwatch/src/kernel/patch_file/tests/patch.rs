//! Patches for the tests, put into a module as C would put them.

use super::build::{At, Module};

/// Of the kernels that were looked at.
pub const FUNCTION_SIZE: u64 = 152;
pub const OBJECT_SIZE: u64 = 168;
const PATCH_SIZE: usize = 232;

/// What the C source of a patch says.
#[derive(Clone, Debug)]
pub struct PatchSource {
    pub objects: Vec<ObjectSource>,
    pub replace: bool,
    /// Id and version of each state.
    pub states: Vec<(u64, u32)>,
    pub function_size: u64,
    pub object_size: u64,
    /// Whether the lists get their end marks.
    pub end_marks: bool,
}

#[derive(Clone, Debug, Default)]
pub struct ObjectSource {
    /// `None` for vmlinux.
    pub name: Option<Vec<u8>>,
    /// Name, symbol position.
    pub functions: Vec<(Vec<u8>, u64)>,
    /// Which of the four are set.
    pub callbacks: [bool; 4],
}

impl ObjectSource {
    pub fn of(name: Option<&str>, functions: &[(&str, u64)]) -> Self {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let functions = functions.iter();
        Self {
            name: name.map(bytes),
            functions: functions.map(|(name, at)| (bytes(name), *at)).collect(),
            ..Self::default()
        }
    }
}

impl PatchSource {
    pub fn of(objects: Vec<ObjectSource>) -> Self {
        Self {
            objects,
            replace: false,
            states: Vec::new(),
            function_size: FUNCTION_SIZE,
            object_size: OBJECT_SIZE,
            end_marks: true,
        }
    }

    /// As a whole module for x86-64.
    pub fn module(&self) -> Vec<u8> {
        let mut module = Module::livepatch();
        self.add_to(&mut module);
        module.finish()
    }

    /// Adds the patch, in the order compilers do: what is pointed to first.
    pub fn add_to(&self, module: &mut Module) -> At {
        let mut lists = Vec::new();
        for object in &self.objects {
            lists.push(self.functions(module, object));
        }
        let objects = self.blank(self.objects.len(), self.object_size);
        let objects = module.data(".data", Some("objs"), &objects);
        for (index, (object, functions)) in self.objects.iter().zip(lists).enumerate() {
            let at = objects.plus(u64::try_from(index).unwrap() * self.object_size);
            if let Some(name) = &object.name {
                let name = module.string(name);
                module.point(at, name);
            }
            module.point(at.plus(8), functions);
            for (slot, _) in (0..4).zip(object.callbacks).filter(|(_, set)| *set) {
                let callback = module.function(&format!("callback_{slot}"));
                module.point(at.plus(16 + slot * 8), callback);
            }
        }
        self.patch(module, objects)
    }

    fn functions(&self, module: &mut Module, object: &ObjectSource) -> At {
        let mut bytes = self.blank(object.functions.len(), self.function_size);
        if bytes.iter().all(|byte| *byte == 0) && object.functions.is_empty() {
            return module.zeros("no_funcs", self.function_size);
        }
        let size = usize::try_from(self.function_size).unwrap();
        for (bytes, (_, sympos)) in bytes.chunks_mut(size).zip(&object.functions) {
            bytes[16..24].copy_from_slice(&module.number(*sympos));
        }
        let start = module.data(".data", Some("funcs"), &bytes);
        for (index, (name, _)) in object.functions.iter().enumerate() {
            let at = start.plus(u64::try_from(index).unwrap() * self.function_size);
            let new = format!("new_{}", String::from_utf8_lossy(name));
            let (name, code) = (module.string(name), module.function(&new));
            module.point(at, name);
            module.point(at.plus(8), code);
        }
        start
    }

    fn patch(&self, module: &mut Module, objects: At) -> At {
        let mut bytes = vec![0; PATCH_SIZE];
        bytes[24] = u8::from(self.replace);
        let patch = module.data(".data", Some("patch"), &bytes);
        let this = module.this_module();
        module.point(patch, this);
        module.point(patch.plus(8), objects);
        if !self.states.is_empty() {
            let mut bytes = Vec::new();
            for (id, version) in &self.states {
                bytes.extend(module.number(*id));
                let version = module.number(u64::from(*version));
                // Four bytes of the number, then padding.
                let little = module.number(1)[0] == 1;
                bytes.extend(if little { &version[..4] } else { &version[4..] });
                bytes.extend([0; 12]);
            }
            bytes.extend([0; 24]);
            let states = module.data(".data", Some("states"), &bytes);
            module.point(patch.plus(16), states);
        }
        patch
    }

    fn blank(&self, count: usize, size: u64) -> Vec<u8> {
        let count = count + usize::from(self.end_marks);
        vec![0; count * usize::try_from(size).unwrap()]
    }
}
