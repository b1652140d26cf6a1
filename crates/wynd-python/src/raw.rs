//! Calls of `CPython`'s C interface that `PyO3` has no safe or no quick form of, each as a safe
//! function. All unsafe code of the crate is here and, for one block, in `messages.rs`.

use std::ffi::c_ulong;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr;

use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyString};

/// Makes a str of valid UTF-8. ASCII, the common case, is copied without being decoded.
pub(crate) fn text<'py>(py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyString>> {
    // CPython keeps the empty string and those of one character; its decoder knows them.
    if payload.len() < 2 || !payload.is_ascii() {
        return PyString::from_bytes(py, payload);
    }
    let len = isize::try_from(payload.len()).unwrap_or(isize::MAX);
    // SAFETY: the reference is new and a str of `len` one-byte characters, none above 127, which
    // nobody else has seen yet; both memories are `len` bytes long and do not overlap.
    unsafe {
        let made = Bound::from_owned_ptr_or_err(py, ffi::PyUnicode_New(len, 127))?;
        let data = ffi::PyUnicode_1BYTE_DATA(made.as_ptr());
        ptr::copy_nonoverlapping(payload.as_ptr(), data, payload.len());
        Ok(made.cast_into_unchecked())
    }
}

/// Makes bytes; unlike `PyBytes::new` without a panic when memory is short.
pub(crate) fn bytes<'py>(py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let len = isize::try_from(payload.len()).unwrap_or(isize::MAX);
    // SAFETY: pointer and length are those of a live slice, the function copies from it, and the
    // reference it returns is new. A bytes object is what it makes.
    unsafe {
        let made = ffi::PyBytes_FromStringAndSize(payload.as_ptr().cast(), len);
        Ok(Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked())
    }
}

/// Appends the first `size` bytes of a buffer.
pub(crate) fn extend_from(out: &mut Vec<u8>, buffer: &Bound<'_, PyByteArray>, size: usize) {
    // SAFETY: copying runs no Python code, so nobody writes to or resizes the buffer meanwhile.
    let filled = unsafe { buffer.as_bytes() };
    out.extend_from_slice(filled.get(..size).unwrap_or(&[]));
}

/// Tells whether the caller's reference to an object is the only one.
#[inline]
pub(crate) fn is_alone<T>(object: &Bound<'_, T>) -> bool {
    // SAFETY: a live object, whose reference count is read under the interpreter's lock.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) == 1 }
}

/// Takes over a descriptor that Python gave up.
pub(crate) fn owned(fd: RawFd) -> PyResult<OwnedFd> {
    if fd < 0 {
        return Err(PyValueError::new_err(format!("{fd} is no descriptor")));
    }
    // SAFETY: not -1, see above. `engines/native.py` calls `detach()` on the socket object first,
    // so that nobody else closes the descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The calling thread, as `threading.get_ident` names it; a number that is cheap to ask for.
pub(crate) fn this_thread() -> c_ulong {
    // SAFETY: has no preconditions.
    unsafe { ffi::PyThread_get_thread_ident() }
}

/// Enters a context; false if it is entered already, or no context.
#[inline]
pub(crate) fn enter_context(context: &Bound<'_, PyAny>) -> bool {
    // SAFETY: a live object, whose type the function checks; the thread is attached.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } != 0 {
        drop(PyErr::take(context.py()));
        return false;
    }
    true
}

/// Exits a context; an error if it is not the current one.
#[inline]
pub(crate) fn exit_context(context: &Bound<'_, PyAny>) -> PyResult<()> {
    // SAFETY: a live object; the function checks its type, and that it is the thread's current
    // context.
    match unsafe { ffi::PyContext_Exit(context.as_ptr()) } {
        0 => Ok(()),
        _ => Err(PyErr::fetch(context.py())),
    }
}

pub(crate) fn is_coroutine(result: &Bound<'_, PyAny>) -> bool {
    // SAFETY: a live object, of which only the type is read.
    unsafe { ffi::PyCoro_CheckExact(result.as_ptr()) != 0 }
}

/// How far a coroutine ran.
pub(crate) enum Stepped<'py> {
    Finished,
    /// What it waits for.
    Yielded(Bound<'py, PyAny>),
}

/// Runs a coroutine up to where it next waits; an error is what it raised.
pub(crate) fn step<'py>(coroutine: &Bound<'py, PyAny>) -> PyResult<Stepped<'py>> {
    let py = coroutine.py();
    let mut yielded = ptr::null_mut();
    // SAFETY: live objects; the function checks that the coroutine is an iterator. What it writes to
    // `yielded` is a new reference, or null together with an error.
    let sent = unsafe { ffi::PyIter_Send(coroutine.as_ptr(), ffi::Py_None(), &raw mut yielded) };
    // SAFETY: see above; null is turned into the error that was set.
    let yielded = unsafe { Bound::from_owned_ptr_or_err(py, yielded) }?;
    Ok(if sent == ffi::PySendResult::PYGEN_NEXT {
        Stepped::Yielded(yielded)
    } else {
        Stepped::Finished
    })
}
