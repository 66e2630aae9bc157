//! Expressions without calls.

#[test]
fn probe() {
    let Ok(path) = std::env::var("PROBE") else { return };
    let source = std::fs::read_to_string(path).expect("probe");
    for part in source.split("\n---\n") {
        let program = super::program(&format!("package p\n{part}"), 27);
        let file = &program.project().packages[0].files[0];
        println!("=====\n{part}\n-----\n{:?}", file.errors);
        let bodies = program.bodies(residue_project::PackageId(0));
        let body = super::code_of_f(&bodies);
        print!("{}", crate::dump::ir_text(&bodies, 0, &body));
    }
}
