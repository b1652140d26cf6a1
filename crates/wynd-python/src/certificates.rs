//! `Certificates`: PEM files for Python, read while the interpreter is released.

use std::path::Path;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// A certificate chain and its key.
#[pyclass(frozen, module = "wynd._engine")]
pub struct Certificates(wynd_engine::Certificates);

impl Certificates {
    /// What listeners share.
    pub(crate) fn shared(&self) -> wynd_engine::Certificates {
        self.0.clone()
    }
}

#[pymethods]
impl Certificates {
    #[new]
    fn new(py: Python<'_>, certificate: &str, key: &str) -> PyResult<Self> {
        py.detach(|| wynd_engine::Certificates::load(Path::new(certificate), Path::new(key)))
            .map(Self)
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }
}
