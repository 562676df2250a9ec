"""LoRA adapters on disk: conversion from other formats, averaging."""
