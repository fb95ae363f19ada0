//! Stages for Python: an environment of its own with what the project depends on, at `/venv`.

use super::Stages;
use crate::Project;
use crate::container::ROOT;
use crate::remarks::Remarks;

/// The release that has most of its support before it.
const PYTHON: &str = "3.13";

pub(super) fn stages(project: &Project, remarks: &mut Remarks) -> Stages {
    remarks.say(format!(
        "nothing says for certain which Python it needs: it is {PYTHON}"
    ));
    let has = |name: &str| project.entries.contains(name);
    let steps = if has("uv.lock") {
        "COPY pyproject.toml uv.lock ./\nRUN pip install --no-cache-dir uv && UV_PROJECT_ENVIRONMENT=/venv uv sync --locked --no-dev --no-install-project\n"
    } else if has("poetry.lock") {
        // It installs into the environment that is active.
        "COPY pyproject.toml poetry.lock ./\nRUN python -m venv /poetry && /poetry/bin/pip install --no-cache-dir poetry \\\n && VIRTUAL_ENV=/venv /poetry/bin/poetry install --only main --no-root\n"
    } else if has("Pipfile.lock") {
        "COPY Pipfile Pipfile.lock ./\nRUN python -m venv /pipenv && /pipenv/bin/pip install --no-cache-dir pipenv \\\n && VIRTUAL_ENV=/venv /pipenv/bin/pipenv sync\n"
    } else if has("requirements.txt") {
        "COPY requirements.txt ./\nRUN pip install --no-cache-dir --requirement requirements.txt\n"
    } else if has("pyproject.toml") {
        remarks.say("there is no lock file: each build may install other versions");
        "COPY . .\nRUN pip install --no-cache-dir .\n"
    } else {
        ""
    };
    if !steps.is_empty()
        && has("requirements.txt")
        && !["uv.lock", "poetry.lock", "Pipfile.lock"].iter().any(|lock| has(lock))
    {
        remarks.say("versions are as fixed as requirements.txt has them: `pip freeze` fixes them all");
    }
    let mut build = String::new();
    let mut finish = "# What is printed is seen at once, and nothing is written beside the sources.\nENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1\n".to_owned();
    if !steps.is_empty() {
        build = format!(
            "# The whole image has the compilers that some packages need.\nFROM python:${{PYTHON_VERSION}}-bookworm AS build\n\
             WORKDIR {ROOT}\nRUN python -m venv /venv\nENV PATH=/venv/bin:$PATH\n{steps}\n"
        );
        finish.push_str("ENV PATH=/venv/bin:$PATH\nCOPY --from=build /venv /venv\n");
    }
    Stages {
        arguments: format!("ARG PYTHON_VERSION={PYTHON}\n\n"),
        build,
        base: "python:${PYTHON_VERSION}-slim-bookworm".to_owned(),
        finish,
        from_build: false,
    }
}
