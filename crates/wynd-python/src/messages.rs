//! `TextMessage` and `BinaryMessage`: what handlers receive. `wynd.events` has plain twins, for
//! where this module is not built.
//!
//! A message that nobody kept is used again for the next one, as `zip` does with its tuple: `renew` looks whether the caller's reference is the only one.

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::raw;

fn refuse_pickling(name: &str) -> PyErr {
    PyTypeError::new_err(format!(
        "{name} belongs to a live connection; pickle its data"
    ))
}

macro_rules! message {
    ($(#[$about:meta])* $name:ident, $data:ident, $($conversion:tt)*) => {
        $(#[$about])*
        #[pyclass(frozen, module = "wynd.events")]
        pub struct $name {
            // Read by attribute without a call: `get` makes members of these.
            #[pyo3(get)]
            data: Py<$data>,
            #[pyo3(get)]
            handle: Py<PyAny>,
        }

        impl $name {
            /// Makes a message with `data`, from `old` if only the caller has it.
            pub(crate) fn renew<'py>(
                old: Option<Bound<'py, Self>>,
                data: Bound<'py, $data>,
                handle: &Bound<'py, PyAny>,
            ) -> PyResult<Bound<'py, Self>> {
                let Some(old) = old else {
                    return Bound::new(handle.py(), Self::new(data, handle.clone()));
                };
                if !raw::is_alone(&old) {
                    return Bound::new(handle.py(), Self::new(data, handle.clone()));
                }
                let message = old.get();
                let of_data = (&raw const message.data).addr() - old.as_ptr().addr();
                let of_handle = (&raw const message.handle).addr() - old.as_ptr().addr();
                let has_changed = !message.handle.is(handle);
                // SAFETY: the places are inside the object and hold what the types say. `old` is the
                // only reference to it, so that nothing of Rust or Python looks at it meanwhile;
                // what was there is dropped when the object is whole again.
                let was = unsafe {
                    let data_place = old.as_ptr().byte_add(of_data).cast::<Py<$data>>();
                    let handle_place = old.as_ptr().byte_add(of_handle).cast::<Py<PyAny>>();
                    let other = has_changed.then(|| handle_place.replace(handle.clone().unbind()));
                    (data_place.replace(data.unbind()), other)
                };
                drop(was);
                Ok(old)
            }
        }

        #[pymethods]
        impl $name {
            #[new]
            fn new(data: Bound<'_, $data>, handle: Bound<'_, PyAny>) -> Self {
                Self {
                    data: data.unbind(),
                    handle: handle.unbind(),
                }
            }

            $($conversion)*

            fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
                visit.call(&self.handle)
            }

            fn __reduce__(&self) -> PyResult<()> {
                Err(refuse_pickling(stringify!($name)))
            }

            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                let data = self.data.bind(py).repr()?;
                Ok(format!("{}({})", stringify!($name), data.to_str()?))
            }
        }
    };
}

message! {
    /// A text message.
    ///
    /// Attributes:
    ///     data: the whole message; "" is a message.
    ///     handle: the connection it came from.
    TextMessage, PyString,
    fn __str__(&self, py: Python<'_>) -> Py<PyString> {
        self.data.clone_ref(py)
    }
}

message! {
    /// A binary message.
    ///
    /// Attributes:
    ///     data: the whole message; b"" is a message.
    ///     handle: the connection it came from.
    BinaryMessage, PyBytes,
    fn __bytes__(&self, py: Python<'_>) -> Py<PyBytes> {
        self.data.clone_ref(py)
    }
}
