//! The ntifs.h names and layouts over vicar-kernel.
