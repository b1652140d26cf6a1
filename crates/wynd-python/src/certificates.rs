//! `Certificates`: PEM files for Python, read while the interpreter is released.

use std::path::PathBuf;

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
    #[allow(clippy::needless_pass_by_value)] // what PyO3 extracts is owned
    fn new(py: Python<'_>, certificate: PathBuf, key: PathBuf) -> PyResult<Self> {
        py.detach(|| wynd_engine::Certificates::load(&certificate, &key))
            .map(Self)
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }
}
