//! Linux capabilities and NT privileges.
