# Methods for generics of packages that are only suggested: registered when such a package is
# loaded, whether before this one or after.

# By generic, the classes that have a method. It is found by its name, `generic.class`.
lazy_methods <- list(
  "knitr::knit_print" = c(
    "pp_fit", "summary.pp_fit", "summary.pp_kernel_fit", "VarCorr.pp_fit", "pp_anova", "pp_effects",
    "pp_profile", "pp_bootstrap", "summary.pp_bootstrap", "pp_check",
    "pp_r_squared"
  )
)

.onLoad <- function(libname, pkgname) {
  for (generic in names(lazy_methods)) {
    parts <- strsplit(generic, "::", fixed = TRUE)[[1L]]
    register_lazily(parts[1L], parts[2L], lazy_methods[[generic]])
  }
}

register_lazily <- function(package, generic, classes) {
  home <- topenv()
  register <- function(...) {
    namespace <- asNamespace(package)
    # A release of the package without that generic needs no method for it.
    if (!exists(generic, envir = namespace, inherits = FALSE)) {
      return(invisible())
    }
    for (class in classes) {
      method <- get(paste(generic, class, sep = "."), envir = home, mode = "function")
      registerS3method(generic, class, method, envir = namespace)
    }
  }
  setHook(packageEvent(package, "onLoad"), register)
  if (isNamespaceLoaded(package)) register()
}
