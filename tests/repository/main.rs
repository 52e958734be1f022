//! Tests of the repository itself: its links, its language, its sizes and its layers.
//!
//! They read files only, so they need neither the network nor the crates that they examine.
//! `allowed.txt` lists the files and crates that do not comply with a rule yet.

mod allowed;
mod data_model;
mod layers;
mod links;
mod markdown;
mod modules;
mod pages;
mod rust;
mod sizes;
mod tree;
mod vocabulary;
mod words;
